#!/usr/bin/env bash
# s3fs's find takes a time that grows with the square of the number of folders beside one another.
# One expects: a listing of 1,000 objects a request, and work for each object; four times as many folders take four times
# as long.
# What happens: for the listings that it keeps, find compares each new folder with all earlier ones of the same parent,
# field by field. It happens with use_listings_cache=False as well.
# Seen with: s3fs 2026.9.0, moto 5.2.5. Processor time of the client for 5,000 folders with a file each: 0.7 s; for
# 20,000 folders: 9.6 s, and 1.4 s by the same 20 requests with call_s3.
# Consequence: a reader of buckets with many runs pages through list_objects_v2 itself.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check s3fs==2026.9.0 'moto[server]==5.2.5'
cd "$work"
export AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret AWS_DEFAULT_REGION=us-east-1
cat >server.py <<'PYTHON'
import sys

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
for count in [5_000, 20_000]:
    store.create_bucket(f"folders-{count}", "us-east-1")
    for number in range(count):
        store.put_object(f"folders-{count}", f"logs/run{number}/events", b"")
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
venv/bin/python server.py >port 2>/dev/null &
trap 'kill $!; rm -rf -- "${work:?}"' EXIT
until test -s port; do sleep 0.2; done
venv/bin/python - <<'PYTHON'
import sys
import time

import s3fs

port = open("port").read().strip()
store = s3fs.S3FileSystem(endpoint_url=f"http://127.0.0.1:{port}", use_listings_cache=False)


def listed(bucket):
    options, count = {}, 0
    while True:
        page = store.call_s3("list_objects_v2", Bucket=bucket, Prefix="logs/", **options)
        count += len(page["Contents"])
        if not page["IsTruncated"]:
            return count
        options["ContinuationToken"] = page["NextContinuationToken"]


def seconds(call, *arguments):
    start = time.process_time()
    found = call(*arguments)
    return time.process_time() - start, found


listed("folders-5000")  # imports and the first connection
small, found = seconds(lambda: len(store.find("folders-5000/logs")))
large, found_all = seconds(lambda: len(store.find("folders-20000/logs")))
pages, counted = seconds(listed, "folders-20000")
print(f"{found} folders: find {small:.1f} s; {found_all} folders: find {large:.1f} s, call_s3 {pages:.1f} s")
sys.exit(not (found_all == counted == 20_000 and large > 6 * small and large > 2.5 * pages))
PYTHON
