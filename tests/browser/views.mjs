// Every view in light, dark and on a phone: without an error, accessible, within the screen, each focus seen.
import { PHONE, assert, assertAccessible, assertFits, assertFocusIsSeen, keep, scenario } from "./browser.mjs";

const VIEWS = ["/", "/?window=24h", "/callers", "/matches", "/rules", "/shards", "/status"];

await scenario(async (visits) => {
  const first = await visits.open("/callers");
  const caller = await first.getAttribute("a.principal", "href");
  await visits.close(first);
  for (const path of [...VIEWS, caller]) {
    const name = path === caller ? "caller" : path.replace(/\W+/g, "-").replace(/^-|-$/g, "") || "overview";
    for (const [kind, options] of [
      ["light", { scheme: "light" }],
      ["dark", { scheme: "dark" }],
      ["phone", { scheme: "light", viewport: PHONE }],
    ]) {
      const page = await visits.open(path, options);
      await page.waitForSelector("main section");
      await keep(page, `${name}-${kind}`);
      await assertFits(page, `${path} ${kind}`);
      const passes = await assertAccessible(page, `${path} ${kind}`);
      if (kind === "light" && path === "/callers") assert.ok(passes.includes("td-headers-attr") || passes.includes("scope-attr-valid"));
      const heads = await page.$$eval("table", (tables) =>
        tables.map((table) => table.querySelectorAll("thead th[scope=col]").length > 0 &&
          [...table.querySelectorAll("tbody tr")].every((row) => row.querySelector("th[scope=row]"))));
      assert.ok(heads.every(Boolean), `${path}: a table without heads`);
      if (kind !== "phone") {
        const reached = await assertFocusIsSeen(page, 25);
        assert.ok(reached.size >= 10, `${path}: ${[...reached]}`);
      }
      await visits.close(page);
    }
  }
  // A wrong address is a page, too.
  const wrong = await visits.open("/callers?sort=size", { allowed: ["status of 400"] });
  assert.match(await wrong.textContent("main"), /`sort` must be one of/);
  await visits.close(wrong);

  // The first view: all that is transferred until it stands, and how long that takes. The quickest of five, for the
  // machine may be busy.
  let [bytes, quickest] = [0, Infinity];
  for (let turn = 0; turn < 5; turn++) {
    const page = await visits.open("/");
    await page.waitForLoadState("load");
    quickest = Math.min(quickest, await page.evaluate(() => performance.getEntriesByType("navigation")[0].loadEventEnd));
    bytes = Math.max(bytes, page.bytes);
    await visits.close(page);
  }
  console.log(`first view: ${bytes} bytes, ${Math.round(quickest)} ms`);
  assert.ok(bytes > 10_000 && bytes < 100_000, `${bytes} bytes`);
  assert.ok(quickest < 300, `${quickest} ms`);
});
