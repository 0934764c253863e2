#!/bin/sh
# The browser tests need a real Chromium. Install Debian's where this user may; else the tests say loudly that they were skipped.
command -v chromium >/dev/null 2>&1 && exit 0
command -v chromium-browser >/dev/null 2>&1 && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "installing chromium for the browser tests"
    (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core) >/dev/null 2>&1 && exit 0
fi
echo "chromium cannot be installed here: the browser tests will be skipped" >&2
exit 0
