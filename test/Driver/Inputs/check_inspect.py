"""Checks `qopt inspect --json` against the artifact: sections, indices, sums.

  check_inspect.py FILE.json FILE.qopt
"""

import json
import os
import sys

with open(sys.argv[1]) as file:
    found = json.load(file)
size = os.path.getsize(sys.argv[2])
assert found["file_bytes"] == size
sections = []
for program in found["programs"]:
    sections += [program["code"]] + [weight["section"] for weight in program["weights"]]
shared = len(sections)
sections = {section["offset"]: section for section in sections}.values()
shared -= len(sections)
end = 4096
for section in sorted(sections, key=lambda section: section["offset"]):
    assert section["offset"] % 4096 == 0 and section["offset"] >= end, section
    assert len(section["hash"]) == 32
    end = section["offset"] + section["size"]
assert end < size
for program in found["programs"]:
    entries = {kernel["entry"] for kernel in program["kernels"]}
    for plan in program["plans"]:
        assert plan["launches"] and all(launch["entry"] in entries for launch in plan["launches"])
assert found["tokenizer"]["vocabulary"] == 261 and found["tokenizer"]["eos_id"] == 259
assert "messages" in found["chat_template"]
assert found["report"]["linears"]
model = found["model"]
print(
    f"{model['format']} {model['layers']} layers, eos {found['generation']['eos_ids']}, "
    f"page {found['programs'][0]['kv_cache']['page_tokens']}, "
    f"{', '.join(program['target']['name'].split(':')[0] + ' ' + str(len(program['plans'])) for program in found['programs'])} plans"
    + (f", {shared} shared" if shared else "")
)
