"""Opens the memory of a Linux machine as drgn does, with nothing but the core itself.

Reads JSON from standard input, {"core": FILE, "banner": address of the kernel's linux_banner in hexadecimal}, and writes what was read as JSON.
"""

import json
import sys

import drgn

question = json.load(sys.stdin)
program = drgn.Program()
program.set_core_dump(question["core"])
# Through the kernel's page table, which only VMCOREINFO leads to.
banner = program.read(int(question["banner"], 16), 512).split(b"\n")[0].decode()
json.dump({"release": program["UTS_RELEASE"].string_().decode(), "banner": banner}, sys.stdout)
