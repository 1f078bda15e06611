#!/usr/bin/env python3
"""Opens pages of `secateur report` in headless Chromium: phone and desktop, light and dark.

    scripts/check_report.py PAGE.html ... [--pictures FOLDER] [--install]

Needs Python alone, and Chromium: --install fetches it by apt-get where it is missing. Exit code 1,
with what is wrong, for a message on the console, a request for anything but the page itself, a page
wider than its window, a picture without title and description, a text that leaves its picture or
meets another, a table without caption or scopes, headings that skip a level, an id that is there
twice, or a text whose contrast is below 4.5. With --pictures the pages are kept as PNG.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PHONE, DESKTOP = (360, 780), (1280, 900)
CONSOLE = "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"

# What is wrong with a page, found in the page.
CHECKS = r"""
(() => {
  const wrong = [];
  const say = text => wrong.push(text);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll('body *')].filter(e => {
      const inside = e.closest('.scroll, pre, svg');
      return e.getBoundingClientRect().right > root.clientWidth + 1 && (!inside || inside === e);
    });
    say(`page is ${root.scrollWidth} wide, window ${root.clientWidth}: ` +
        wide.slice(0, 3).map(e => e.outerHTML.slice(0, 80)).join(' | '));
  }
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach(id => say(`id ${id} is there twice`));
  for (const svg of document.querySelectorAll('svg')) {
    const ids = svg.getAttribute('aria-labelledby')?.split(' ');
    const named = ids?.map(id => document.getElementById(id)?.textContent);
    const title = svg.querySelector('title')?.textContent;
    const told = named && named.length === 2 && named.every(text => text);
    if (svg.getAttribute('role') !== 'img' || !told)
      say(`picture without title and description: ${title}`);
    if (!svg.querySelector('path[d*="M"], rect, circle'))
      say(`picture without data: ${title}`);
    const frame = svg.viewBox.baseVal;
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBBox();
      const right = box.x + box.width - frame.x - frame.width;
      const below = box.y + box.height - frame.y - frame.height;
      if (box.x < frame.x - 1 || box.y < frame.y - 1 || right > 1 || below > 1)
        say(`"${text.textContent}" leaves the picture ${title}`);
    }
    const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBBox()]);
    texts.forEach(([a, p], at) => texts.slice(at + 1).forEach(([b, q]) => {
      const across = Math.min(p.x + p.width, q.x + q.width) - Math.max(p.x, q.x);
      const down = Math.min(p.y + p.height, q.y + q.height) - Math.max(p.y, q.y);
      if (across > 1 && down > 4) say(`"${a}" and "${b}" meet in the picture ${title}`);
    }));
  }
  for (const table of document.querySelectorAll('table')) {
    const caption = table.caption?.textContent;
    if (!caption) say(`a table without caption: ${table.textContent.slice(0, 60)}`);
    if ([...table.querySelectorAll('th')].some(th => !th.scope))
      say(`a head without scope in ${caption}`);
    const widths = new Set([...table.rows].map(row => row.cells.length));
    if (widths.size > 1) say(`rows of ${[...widths]} cells in ${caption}`);
  }
  for (const image of document.images) {
    if (!image.alt) say('an image without words');
    if (!image.naturalWidth) say(`an image that is none: ${image.alt}`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say(`${heading.tagName} after H${level}: ${heading.textContent}`);
    level = next;
  }
  if (document.querySelectorAll('h1').length !== 1) say('not one h1');
  for (const link of document.querySelectorAll('a[href^="#"]'))
    if (!document.getElementById(link.hash.slice(1))) say(`a link to nothing: ${link.hash}`);
  const numbers = text => text.match(/[\d.]+/g).map(Number);
  const linear = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(c => linear(c / 255))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  const texts = 'p, h1, h2, h3, td, th, a, summary, figcaption, span, dt, dd, caption, code, ' +
    'svg text, footer';
  for (const e of document.querySelectorAll(texts)) {
    if (!e.textContent.trim()) continue;
    const style = getComputedStyle(e);
    const own = numbers(e.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(own), light(behind(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    const named = `${e.tagName}.${e.getAttribute('class') ?? ''}`;
    if (contrast < 4.5) poor.add(`${named} ${contrast.toFixed(2)}`);
  }
  poor.forEach(what => say(`contrast of ${what}`));
  return wrong;
})()
"""


class Browser:
    """Chromium, spoken to through two pipes: it reads from 3 and writes to 4."""

    def __init__(self, program, home):
        read, self.out = os.pipe()
        self.into, write = os.pipe()
        # Numbers that no pipe has, so that none is closed by the other's copy.
        command = f'exec 8<&{read} 9>&{write}; exec "$0" "$@" 3<&8 4>&9'
        flags = ["headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"]
        flags += ["remote-debugging-pipe", f"user-data-dir={home}"]
        args = ["bash", "-c", command, program, *(f"--{flag}" for flag in flags)]
        self.process = subprocess.Popen(args, pass_fds=(read, write), stderr=subprocess.DEVNULL)
        os.close(read)
        os.close(write)
        self.count, self.rest, self.events = 0, b"", []

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.into, 1 << 20)
            if not more:
                sys.exit("check_report: Chromium ended")
            self.rest += more
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def call(self, method, session=None, **params):
        self.count += 1
        call = {"id": self.count, "method": method, "params": params}
        if session:
            call["sessionId"] = session
        os.write(self.out, json.dumps(call).encode() + b"\0")
        while (answer := self.message()).get("id") != self.count:
            self.events.append(answer)
        if "error" in answer:
            sys.exit(f"check_report: {method}: {answer['error']}")
        return answer["result"]

    def until(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())


def look(browser, page, size, scheme, picture):
    """What is wrong with a page in a window of this size and scheme."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    call = lambda method, **params: browser.call(method, session, **params)
    width, height = size
    for domain in ("Page", "Runtime", "Log", "Network"):
        call(f"{domain}.enable")
    window = dict(width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE)
    call("Emulation.setDeviceMetricsOverride", **window)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    call("Emulation.setEmulatedMedia", features=features)
    browser.events.clear()
    url = page.resolve().as_uri()
    call("Page.navigate", url=url)
    browser.until("Page.loadEventFired")
    # Closed parts are part of the page too.
    opened = "document.querySelectorAll('details').forEach(d => d.open = {})"
    call("Runtime.evaluate", expression=opened.format("true"))
    wrong = call("Runtime.evaluate", expression=CHECKS, returnByValue=True)
    if "exceptionDetails" in wrong:
        sys.exit(f"check_report: {wrong['exceptionDetails']}")
    wrong = wrong["result"]["value"]
    for event in browser.events:
        params = event.get("params", {})
        if event.get("method") in CONSOLE:
            wrong.append(f"console: {json.dumps(params)[:300]}")
        sent = event.get("method") == "Network.requestWillBeSent"
        asked = params["request"]["url"] if sent else url
        if asked != url and not asked.startswith("data:"):
            wrong.append(f"asks for {asked}")
    if picture:
        call("Runtime.evaluate", expression=opened.format("false"))
        shot = call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        picture.write_bytes(base64.b64decode(shot))
    browser.call("Target.closeTarget", targetId=target)
    return wrong


def chromium(install):
    names = "chromium", "chromium-browser", "google-chrome", "chrome"
    found = next(filter(None, map(shutil.which, names)), None)
    if not found and install:
        get = ["apt-get", "-qq", "install", "-y", "--no-install-recommends"]
        subprocess.run([*get, "chromium", "fonts-dejavu-core"], check=True)
        found = shutil.which("chromium")
    return found or sys.exit("check_report: no Chromium here; --install fetches it by apt-get")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=pathlib.Path, nargs="+")
    parser.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--install", action="store_true")
    args = parser.parse_args()
    program, wrong = chromium(args.install), []
    with tempfile.TemporaryDirectory() as home:
        browser = Browser(program, home)
        for page in args.pages:
            for name, size in (("phone", PHONE), ("desktop", DESKTOP)):
                for scheme in ("light", "dark"):
                    picture = None
                    if args.pictures:
                        args.pictures.mkdir(parents=True, exist_ok=True)
                        picture = args.pictures / f"{page.stem}-{name}-{scheme}.png"
                    found = look(browser, page, size, scheme, picture)
                    wrong += [f"{page}, {name}, {scheme}: {what}" for what in found]
            print(f"{page}: looked at as phone and desktop, light and dark")
        browser.call("Browser.close")
        browser.process.wait()
    if wrong:
        sys.exit("\n".join(["check_report:", *wrong]))


if __name__ == "__main__":
    main()
