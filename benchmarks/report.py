"""Where the tables of comparisons go: to the standard output, and into a page, between two comments that bear their name."""

import re


def write(path, name, lines):
    text = "\n".join(lines).strip() + "\n"
    print(text, flush=True)
    if not path:
        return
    with open(path) as f:
        page = f.read()
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path}: want one line {begin.strip()} and one {end.strip()}")
    page = re.sub(f"(?s){re.escape(begin)}.*{re.escape(end)}", lambda _: begin + text + end, page)
    with open(path, "w") as f:
        f.write(page)
