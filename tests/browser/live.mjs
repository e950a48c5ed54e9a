// A new weak caller appears without a reload, on the overview and in the list; details that were opened stay open.
import { assert, scenario, tell } from "./browser.mjs";

await scenario(async (visits) => {
  const [overview, callers, matches] = [await visits.open("/"), await visits.open("/callers"), await visits.open("/matches")];
  for (const page of [overview, callers]) {
    assert.ok(!(await page.content()).includes("role/newcomer"));
    await page.evaluate(() => { window.isSame = true; });
  }
  await matches.click("#matches-table details summary");
  const opened = await matches.getAttribute("tr:has(details[open])", "id");
  tell("waiting for a newcomer");
  await overview.waitForSelector("#new-table a.principal[title$='role/newcomer']");
  await callers.waitForSelector("#callers-table a.principal[title$='role/newcomer']");
  assert.ok(await callers.$eval("tr:has(a.principal[title$='role/newcomer'])", (row) => row.classList.contains("is-new")));
  // Its match stands above the one that was opened, which is still open.
  await matches.waitForFunction((id) => document.querySelector("#matches-table tbody tr").id !== id, opened);
  assert.equal(await matches.getAttribute("tr:has(details[open])", "id"), opened);
  for (const page of [overview, callers]) assert.ok(await page.evaluate(() => window.isSame), "it was reloaded");

  // A server that has gone is told of, and what was seen stays.
  overview.problems = callers.problems = [];
  tell("waiting for the end");
  await callers.waitForSelector("#gone:not(:empty)");
  assert.match(await callers.textContent("#gone"), /does not answer\. What you see is from \d{4}-/);
  assert.ok(await callers.$("a.principal[title$='role/newcomer']"));
});
