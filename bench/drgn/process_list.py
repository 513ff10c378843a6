"""Lists the processes of a guest's memory with drgn: process_list.py CORE VMCOREINFO VMLINUX ROUNDS LISTS

Prints JSON: the CPU time in ms until the first list was there, of one list of each round, and the last list.
"""

import json
import sys
import time

import drgn
from drgn.helpers.linux.pid import for_each_task

PF_KTHREAD = 0x00200000


def list_processes(prog):
    found = []
    for task in for_each_task(prog):
        pid = task.pid.value_()
        if pid != task.tgid.value_():
            continue
        mm = task.mm
        found.append(
            (
                pid,
                task.real_parent.tgid.value_(),
                task.comm.string_().decode("latin1"),
                task.value_(),
                mm.pgd.value_() if mm else 0,
                (task.flags.value_() & PF_KTHREAD) != 0,
            )
        )
    return found


def main(core, vmcoreinfo, vmlinux, rounds, lists):
    start = time.process_time()
    with open(vmcoreinfo, "rb") as file:
        prog = drgn.Program(vmcoreinfo=file.read())
    prog.set_core_dump(core)
    prog.load_debug_info([vmlinux])
    processes = list_processes(prog)
    first = (time.process_time() - start) * 1000
    samples = []
    for _ in range(int(rounds)):
        start = time.process_time()
        for _ in range(int(lists)):
            processes = list_processes(prog)
        samples.append((time.process_time() - start) * 1000 / int(lists))
    facts = [[pid, ppid, name, str(address)] for pid, ppid, name, address, _, _ in processes]
    json.dump({"firstMs": first, "listMs": samples, "processes": facts}, sys.stdout)


main(*sys.argv[1:])
