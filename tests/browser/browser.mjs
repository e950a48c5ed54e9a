// What the scenarios share: Chromium without a window, and what must hold of every page that it is shown.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(new URL("../servers/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

export const PATIENCE_MS = 60_000;
// Nothing is asked for but the pages: no updates, no lists of bad sites.
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };

// Runs a scenario against the page at the address given to this process.
export async function scenario(run) {
  const base = process.argv[2];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
  try {
    await run(new Visits(browser, base));
  } finally {
    await browser.close();
  }
}

class Visits {
  constructor(browser, base) {
    this.browser = browser;
    this.base = base;
  }

  // A page that fails the scenario with whatever the console calls an error, and with each request to elsewhere.
  async open(path, { scheme = "light", viewport = DESKTOP, allowed = [] } = {}) {
    const context = await this.browser.newContext({ colorScheme: scheme, viewport, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.problems = [];
    const note = (text) => {
      if (!allowed.some((part) => text.includes(part))) page.problems.push(text);
    };
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) note(`console: ${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => note(`exception: ${error.message}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(this.base)) note(`request: ${request.url()}`);
    });
    page.bytes = 0;
    page.on("response", async (response) => {
      const sizes = await response.request().sizes().catch(() => null);
      if (sizes) page.bytes += sizes.responseHeadersSize + sizes.responseBodySize;
    });
    await page.goto(this.base + path);
    return page;
  }

  async close(page) {
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
}

// What axe-core finds against WCAG 2.1 AA, contrast and table heads among it.
export async function assertAccessible(page, name) {
  // The page's policy allows no script of others; the inspector's own world is not the page's.
  const session = await page.context().newCDPSession(page);
  await session.send("Page.enable");
  const { frameTree } = await session.send("Page.getFrameTree");
  const world = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  const { readFileSync } = await import("node:fs");
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
      expression, contextId: world.executionContextId, awaitPromise: true, returnByValue: true,
    });
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  };
  await evaluate(readFileSync(axe, "utf8") + "; true");
  const violations = await evaluate(
    `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
      .then(({violations, passes}) => ({passes: passes.map((rule) => rule.id), found: violations.map((rule) =>
        rule.id + ": " + rule.help + " " + rule.nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary).join(" | "))}))`,
  );
  assert.deepEqual(violations.found, [], name);
  assert.ok(violations.passes.includes("color-contrast"), name);
  return violations.passes;
}

// Each element that the Tab key reaches shows that it has the focus.
export async function assertFocusIsSeen(page, steps) {
  const reached = new Set();
  for (let step = 0; step < steps; step++) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      return {
        name: `${element.tagName} ${element.id} ${element.textContent.slice(0, 40)}`,
        isSeen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        isThere: box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0,
        isBody: element === document.body,
      };
    });
    if (focused.isBody) break;
    assert.ok(focused.isSeen && focused.isThere, `no focus to be seen: ${focused.name}`);
    reached.add(focused.name);
  }
  return reached;
}

// Nothing is wider than the screen, but for tables that scroll by themselves.
export async function assertFits(page, name) {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= screen, `${name}: ${wide} wide on ${screen}`);
}

export async function keep(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: false });
}

// Tells the test that the scenario waits for it.
export function tell(word) {
  console.log(word);
}

export { assert };
