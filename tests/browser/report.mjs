// The report that `scan` writes, opened as a file: without an error, accessible, within the screen, nothing run or loaded.
import { PHONE, assert, assertAccessible, assertFits, keep, scenario } from "./browser.mjs";

await scenario(async (visits) => {
  for (const [kind, options] of [["light", { scheme: "light" }], ["dark", { scheme: "dark" }], ["phone", { viewport: PHONE }]]) {
    const page = await visits.open("", options);
    assert.match(await page.textContent("#weak-section"), /role\/<img src=x onerror/);
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    assert.equal(await page.$$eval("img, script, iframe", (found) => found.length), 0);
    assert.ok((await page.$$eval(".chart path", (found) => found.length)) >= 2);
    await assertFits(page, kind);
    await assertAccessible(page, kind);
    await keep(page, `report-${kind}`);
    await visits.close(page);
  }
});
