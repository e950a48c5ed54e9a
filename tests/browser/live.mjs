// A new weak caller appears without a reload, on the overview and in the list; details that were opened stay open.
import { assert, scenario, tell } from "./browser.mjs";

const NEWCOMER = "a.principal[title$='role/newcomer']";

// Asked on a timer: a page that is not in front draws nothing, and so has no frames to ask in.
const until = (page, is, argument) => page.waitForFunction(is, argument, { polling: 100 });

await scenario(async (visits) => {
  const [overview, callers, matches] = [await visits.open("/"), await visits.open("/callers"), await visits.open("/matches")];
  for (const page of [overview, callers]) {
    assert.ok(!(await page.content()).includes("role/newcomer"));
    await page.evaluate(() => { window.isNotReloaded = true; });
  }
  await matches.click("#matches-table details summary");
  const opened = await matches.getAttribute("tr:has(details[open])", "id");
  tell("waiting for a newcomer");
  await until(overview, (newcomer) => document.querySelector(`#new-table ${newcomer}`), NEWCOMER);
  await until(callers, (newcomer) => document.querySelector(`#callers-table tr.is-new ${newcomer}`), NEWCOMER);
  // Its match stands above the one that was opened, which is still open.
  await until(matches, (id) => document.querySelector("#matches-table tbody tr").id !== id, opened);
  assert.equal(await matches.getAttribute("tr:has(details[open])", "id"), opened);
  for (const page of [overview, callers]) assert.ok(await page.evaluate(() => window.isNotReloaded), "it was reloaded");

  // A server that has gone is told of, and what was seen stays.
  tell("waiting for the end");
  await until(callers, () => document.getElementById("gone").textContent);
  assert.match(await callers.textContent("#gone"), /does not answer\. What you see is from \d{4}-/);
  assert.ok(await callers.$(NEWCOMER));
});
