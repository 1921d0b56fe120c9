// Looks at a page in a real Chromium: `node tests/page/page.js REPORT.html AT_BATCH_8.json`, with playwright-core to be found
// (NODE_PATH) and Chromium at CHROMIUM or /usr/bin/chromium. The second file is the study of the same model at batch 8.
// Ends with 1 and says what was wrong; the last line is "ok" where nothing was.
"use strict";
const { chromium } = require("playwright-core");
const fs = require("node:fs");
const path = require("node:path");

(async () => {
  const [file, atEight] = process.argv.slice(2);
  const url = "file://" + path.resolve(file);
  const wanted = JSON.parse(fs.readFileSync(atEight, "utf8"));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const wrong = [];
  const check = (holds, what) => { if (!holds) wrong.push(what); };
  const open = async (options, act, hash = "") => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const requests = [];
    page.on("console", (m) => wrong.push("console: " + m.text()));
    page.on("pageerror", (e) => wrong.push("error: " + e.message));
    page.on("request", (r) => requests.push(r.url()));
    await page.goto(url + hash);
    await page.waitForTimeout(200);
    await act(page);
    const outside = requests.filter((r) => !r.startsWith("blob:"));
    check(outside.length === 1, "requests: " + outside.join(" "));
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    check(over <= 0, `${over} px wider than the window of ${JSON.stringify(options.viewport)}`);
    await context.close();
  };
  const desk = { viewport: { width: 1280, height: 900 } };
  const text = (page, id) => page.locator("#" + id).textContent();

  let link = "";
  await open(desk, async (page) => {
    await page.locator("#size-batch").fill("8");
    await page.locator("#size-batch").dispatchEvent("change");
    const ms = wanted.cases[0].fused.seconds * 1e3;
    const said = await text(page, "live");
    check(said.includes(ms.toPrecision(3) + " ms"), `at batch 8 the page says "${said}", the command ${ms.toPrecision(3)} ms`);
    link = await page.evaluate(() => location.hash);
    const each = await page.evaluate(() => {
      const input = document.getElementById("size-batch"), began = performance.now();
      for (let n = 1; n <= 20; n++) { input.value = n; input.dispatchEvent(new Event("change")); document.body.offsetHeight; }
      return (performance.now() - began) / 20;
    });
    check(each < 200, `a change of size takes ${each} ms`);
    // Search, filter, sort.
    const rows = () => page.locator("#kernel-rows tr").count();
    const all = await rows();
    await page.locator("#search").fill("gemm");
    check((await rows()) > 0 && (await rows()) < all, "the search finds some");
    await page.locator("#search").fill("");
    await page.locator("#bound").selectOption("memory");
    check((await page.locator("#kernel-rows tr td:nth-child(7)").allTextContents()).every((t) => t === "memory"), "bound by memory alone");
    await page.locator("#bound").selectOption("");
    await page.locator("#kernels th[data-column=count] button").click();
    const counts = (await page.locator("#kernel-rows tr td:nth-child(3)").allTextContents()).map(Number);
    check(counts.every((c, i) => i === 0 || counts[i - 1] >= c), "sorted by the column");
    check((await page.locator("#kernels th[data-column=count]").getAttribute("aria-sort")) === "descending", "aria-sort");
    // The keyboard: a kernel is picked, and said.
    await page.locator("#chart-kernels svg").focus();
    await page.keyboard.press("ArrowRight");
    check((await text(page, "picked")).includes("bound by"), "arrow keys pick a kernel");
    await page.keyboard.press("Escape");
    check((await text(page, "picked")) === "", "Escape ends it");
    // Every control can be reached, and what has the focus is seen.
    const reach = await page.evaluate(() => [...document.querySelectorAll("button, select, input")].filter((e) => e.offsetParent && !e.disabled && e.tabIndex < 0).length);
    check(reach === 0, `${reach} controls are out of the keyboard's reach`);
    const small = await page.evaluate(() => [...document.querySelectorAll(".controls button, .controls select, header button")].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44).length);
    check(small === 0, `${small} targets are lower than 44 px`);
    // Labels of a chart stand apart.
    for (const id of ["chart-kernels", "chart-devices", "chart-batch"]) {
      const on = await page.evaluate((id) => {
        const boxes = [...document.querySelectorAll(`#${id} text`)].filter((t) => !t.getAttribute("transform")).map((t) => [t.textContent, t.getBoundingClientRect()]);
        const found = [];
        boxes.forEach(([a, x], i) => boxes.slice(i + 1).forEach(([b, y]) => { if (x.left + 1 < y.right && y.left + 1 < x.right && x.top + 3 < y.bottom && y.top + 3 < x.bottom) found.push(`${a} / ${b}`); }));
        return found;
      }, id);
      check(on.length === 0, `${id}: labels on labels: ${on.join("; ")}`);
    }
    const pdf = await page.pdf({ format: "A4" });
    const pages = pdf.toString("latin1").match(/\/Type\s*\/Page[^s]/g).length;
    check(pages <= 6, `prints on ${pages} pages`);
  });
  await open(desk, async (page) => {
    check((await page.locator("#size-batch").inputValue()) === "8", "a link restores the view: " + link);
  }, link);
  await open({ viewport: { width: 390, height: 844 }, isMobile: true }, async (page) => {
    const least = await page.evaluate(() => Math.min(...[...document.querySelectorAll("figure svg text")].map((t) => parseFloat(getComputedStyle(t).fontSize) * (t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width))));
    check(least >= 11, `texts of ${least} px on a phone`);
  });
  for (const colorScheme of ["light", "dark"]) {
    await open({ ...desk, colorScheme }, async (page) => {
      const contrast = await page.evaluate(() => {
        const lum = (c) => { const [r, g, b] = c.match(/[\d.]+/g).slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05; };
        const ground = lum(getComputedStyle(document.body).backgroundColor);
        return Math.min(...[...document.querySelectorAll("p, td, th button, li, h1, h2")].filter((e) => e.textContent.trim()).map((e) => { const c = lum(getComputedStyle(e).color); return Math.max(c, ground) / Math.min(c, ground); }));
      });
      check(contrast >= 4.5, `${colorScheme}: a contrast of ${contrast.toFixed(2)}`);
    });
  }
  await open({ ...desk, javaScriptEnabled: false }, async (page) => {
    check((await page.locator(".verdict").textContent()).includes("of the fused time"), "the verdict without a script");
    check((await page.locator("svg").count()) >= 3 && (await page.locator("#kernel-rows tr").count()) > 5, "pictures and tables without a script");
    check(!(await page.locator("#controls").isVisible()), "no dead controls without a script");
  });
  await browser.close();
  for (const line of wrong) console.log("WRONG " + line);
  console.log(wrong.length ? `${wrong.length} wrong` : "ok");
  process.exitCode = wrong.length ? 1 : 0;
})();
