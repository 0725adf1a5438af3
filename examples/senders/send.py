"""Sends one message: python3 send.py <channel> <payload as JSON>

RTM_URL is the relay; RTM_API_KEY_FILE holds the key, where it asks for one.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

channel = sys.argv[1]
payload = sys.argv[2] if len(sys.argv) > 2 else "null"
url = os.environ.get("RTM_URL", "http://127.0.0.1:3000").rstrip("/") + "/api/broadcast"

headers = {"content-type": "application/json"}
key_file = os.environ.get("RTM_API_KEY_FILE")
if key_file:
    with open(key_file, encoding="utf-8") as file:
        headers["x-api-key"] = file.read().rstrip("\n")

# Spliced, so that no digit of a number is lost.
body = '{"channel":%s,"eventName":"example","payload":%s}' % (json.dumps(channel), payload)
request = urllib.request.Request(url, body.encode("utf-8"), headers)

# 503 means: not now. With an id of its own (and a trusted key) a message can be sent again safely.
for attempt in range(1, 6):
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            print(response.read().decode("utf-8"))
        break
    except urllib.error.HTTPError as error:
        if error.code != 503 or attempt == 5:
            sys.exit("%d %s" % (error.code, error.read().decode("utf-8")))
        time.sleep(float(error.headers.get("retry-after", 1)))
