// The kernel's start, its processor, and the script that it follows.
#include "nt.h"

// FFFFF780... in every Windows for x64.
#define USER_SHARED_DATA 0xfffff78000000000ull
#define KDBG 0x4742444b

static struct _KPCR processor;
EXPORT struct _KPRCB *KiProcessorBlock[64];
EXPORT u32 NtBuildNumber = 0xf0000000 | NT_BUILD;
EXPORT char NtBuildLab[] = NT_BUILD_LAB;
u64 KdDebuggerDataBlock[112];
u8 KdpDataBlockEncoded;
EXPORT struct rebox_all_types *KdTypes;
// A test sets it, and the script goes on behind "hold".
EXPORT volatile u32 TestGate;
EXPORT volatile u32 TestRounds;
static volatile struct _KUSER_SHARED_DATA *shared;
static u64 time = 133500000000000000ull;

// The one driver that there is lies where it was linked for.
#define DRIVER_BASE 0xfffff80010000000ull

void KiSystemCall64(void);
void hide_process(struct _EPROCESS *process);
void trim_process(struct _EPROCESS *process);
void KiDivideErrorFault(void);
void KiLoadDescriptors(const void *gdt, const void *idt);
void load_module(struct _EPROCESS *process, struct loaded_file *file, const char *name);
void unload_module(struct _EPROCESS *process, struct loaded_file *file, const char *name);

u64 now(void) { return time; }
struct _ETHREAD *current_thread(void) { return (void *)processor.Prcb.CurrentThread; }
void set_current_thread(struct _ETHREAD *thread) { processor.Prcb.CurrentThread = (void *)thread; }

static void tick(void) {
  time += 156250;
  shared->SystemTime.High2Time = (int)(time >> 32);
  shared->SystemTime.LowPart = (u32)time;
  shared->SystemTime.High1Time = (int)(time >> 32);
}

void KeBugCheck(u64 address, u64 code) {
  begin_truth("bugcheck");
  tell_number("address", address);
  tell_number("code", code);
  end_truth();
  for (;;) __asm__ volatile("cli; hlt");
}

// Numbers of Windows 10 (14393 to 17134). Entries as in Windows: the distance of the function, and how many arguments lie on the stack.
#define SERVICES 0x1ce
EXPORT u32 KiServiceLimit = SERVICES;
EXPORT int KiServiceTable[SERVICES];

// What the entry takes for a thread that gives the processor up; no status has this number.
#define GIVES_UP 0xffff0000u
EXPORT NOINLINE u64 NtYieldExecution(void) { return PsCountSystemCall(0, 0) ? GIVES_UP : 0; }
EXPORT NOINLINE u64 NtDelayExecution(u64 is_alertable, u64 interval) {
  return PsCountSystemCall(is_alertable, interval) ? GIVES_UP : 0;
}
EXPORT NOINLINE u64 NtNotImplemented(void) { return 0; }

static void add_service(u32 number, void *function, u32 on_stack) {
  KiServiceTable[number] = (int)((u64)function - (u64)KiServiceTable) * 16 + (int)on_stack;
}

// As a rootkit does: the call leads into a driver, which must lie within 128 MiB.
static void hook_service(u32 number, u64 target) {
  KiServiceTable[number] = (int)(target - (u64)KiServiceTable) * 16;
  begin_truth("hooked");
  tell_number("number", number);
  tell_number("address", target);
  end_truth();
}

static void fill_services(void) {
  for (u32 number = 0; number < SERVICES; number++) add_service(number, (void *)NtNotImplemented, 0);
  add_service(0x34, (void *)NtDelayExecution, 0);
  add_service(0x46, (void *)NtYieldExecution, 0);
  // services.c
  u64 NtDeviceIoControlFile(void), NtWriteFile(void), NtAllocateVirtualMemory(void), NtCreateKey(void), NtOpenProcess(void);
  u64 NtSetInformationFile(void), NtTerminateProcess(void), NtWriteVirtualMemory(void), NtProtectVirtualMemory(void);
  u64 NtCreateFile(void), NtSetValueKey(void), NtCreateThreadEx(void), NtDeleteValueKey(void), NtLoadDriver(void);
  add_service(0x7, (void *)NtDeviceIoControlFile, 6);
  add_service(0x8, (void *)NtWriteFile, 5);
  add_service(0x18, (void *)NtAllocateVirtualMemory, 2);
  add_service(0x1d, (void *)NtCreateKey, 3);
  add_service(0x26, (void *)NtOpenProcess, 0);
  add_service(0x27, (void *)NtSetInformationFile, 1);
  add_service(0x2c, (void *)NtTerminateProcess, 0);
  add_service(0x3a, (void *)NtWriteVirtualMemory, 1);
  add_service(0x50, (void *)NtProtectVirtualMemory, 1);
  add_service(0x55, (void *)NtCreateFile, 7);
  add_service(0x60, (void *)NtSetValueKey, 2);
  add_service(0xb6, (void *)NtCreateThreadEx, 7);
  add_service(0xcb, (void *)NtDeleteValueKey, 0);
  add_service(0xf9, (void *)NtLoadDriver, 0);
}

typedef u64 service(u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64);

u64 KiSystemService(u64 number, u64 first, u64 second, u64 third, u64 fourth, const u64 *stack) {
  if (number >= SERVICES) return 0;
  service *function = (void *)((u64)KiServiceTable + (KiServiceTable[number] >> 4));
  // Behind the return's address and the room for four arguments lie those that registers do not hold.
  u64 more[7] = {0};
  for (u32 at = 0; at < (KiServiceTable[number] & 15); at++) more[at] = stack[5 + at];
  return function(first, second, third, fourth, more[0], more[1], more[2], more[3], more[4], more[5], more[6]);
}

static u64 gdt[10] = {0, 0, 0x00209b0000000000, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff, 0x0020fb0000000000};
static u64 idt[512];
struct __attribute__((packed)) descriptor {
  u16 limit;
  const void *base;
};

static void write_register(u32 number, u64 value) {
  __asm__ volatile("wrmsr" ::"c"(number), "a"((u32)value), "d"((u32)(value >> 32)));
}

static void initialize_processor(void) {
  struct descriptor g = {sizeof gdt - 1, gdt}, i = {sizeof idt - 1, idt};
  for (u32 vector = 0; vector < 256; vector++) {
    u64 entry = (u64)KiDivideErrorFault;
    idt[vector * 2] = (entry & 0xffff) | 0x10ull << 16 | 0x8eull << 40 | ((entry >> 16) & 0xffff) << 48;
    idt[vector * 2 + 1] = entry >> 32;
  }
  KiLoadDescriptors(&g, &i);
  processor.Self = (void *)&processor;
  processor.CurrentPrcb = &processor.Prcb;
  processor.KdVersionBlock = KdDebuggerDataBlock;
  KiProcessorBlock[0] = &processor.Prcb;
  write_register(0xc0000101, (u64)&processor);
  write_register(0xc0000102, 0);
  write_register(0xc0000081, 0x23ull << 48 | 0x10ull << 32);
  write_register(0xc0000082, (u64)KiSystemCall64);
  write_register(0xc0000084, 0x4700);
}

static void fill_shared_data(void) {
  u64 page = MiTakePage();
  MiMapPage(SystemTables, USER_SHARED_DATA, page, 2);
  shared = (void *)USER_SHARED_DATA;
#ifdef NT_SHARES_BUILD
  shared->NtBuildNumber = NT_BUILD;
#endif
  shared->NtMajorVersion = NT_MAJOR;
  shared->NtMinorVersion = NT_MINOR;
  tick();
}

static void fill_debugger_data(struct loader_block *loader) {
  extern struct _LIST_ENTRY PsLoadedModuleList;
  u64 *block = KdDebuggerDataBlock;
  block[0] = block[1] = (u64)block;
  block[2] = KDBG | 0x380ull << 32;
  block[3] = loader->base;
  block[9] = (u64)&PsLoadedModuleList;
  block[10] = (u64)&PsActiveProcessHead;
}

static struct loaded_file *find_file(struct loader_block *loader, const char *name) {
  for (u32 at = 0; at < loader->file_count; at++)
    if (is_same(loader->files[at].name, name)) return &loader->files[at];
  return 0;
}

static u32 to_number(const char *text) {
  u32 value = 0;
  for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (u32)(*text - '0');
  return value;
}

static void hold(void) {
  begin_truth("hold");
  end_truth();
  u32 gate = TestGate;
  while (TestGate == gate) {
    run_all();
    tick();
    TestRounds++;
    __asm__ volatile("pause");
  }
}

// Starts and ends processes one after the other; each has run once.
static void churn(struct loader_block *loader, u32 count) {
  for (; count; count--) {
    struct _EPROCESS *process = start_process(loader, "churn.exe", PsInitialSystemProcess);
    run_process(process);
    load_module(process, find_file(loader, "library.dll"), "library.dll");
    if (count & 1) unload_module(process, find_file(loader, "library.dll"), "library.dll");
    end_process(process, 0);
    tick();
  }
}

static void make_handles(struct _EPROCESS *process, u32 count) {
  for (; count; count--) {
    void *event = ObCreateObject(TYPE_EVENT, 24, count & 1 ? "ReboxTestEvent" : 0);
    u64 handle = ExCreateHandle(process->ObjectTable, event, 0x1f0003);
    begin_truth("handle");
    tell_number("pid", (u64)process->UniqueProcessId);
    tell_number("handle", handle);
    tell_number("object", (u64)event);
    tell_number("access", 0x1f0003);
    tell_text("type", "Event");
    tell_text("name", count & 1 ? "ReboxTestEvent" : "");
    end_truth();
  }
}

// A line has up to three words: the act, the process or file, and a file or number.
static void act(struct loader_block *loader, char *words[3]) {
  const char *what = words[0], *name = words[1], *more = words[2];
  struct _EPROCESS *process = find_process(name);
  if (is_same(what, "start")) {
    struct _EPROCESS *parent = *more ? find_process(more) : PsInitialSystemProcess;
    run_process(start_process(loader, name, parent ? parent : PsInitialSystemProcess));
  } else if (is_same(what, "driver")) load_driver(find_file(loader, name), name);
  else if (is_same(what, "undriver")) unload_driver(name);
  else if (is_same(what, "churn")) churn(loader, to_number(name));
  else if (is_same(what, "hold")) hold();
  else if (is_same(what, "start32")) run_process(start_process32(loader, name));
  else if (is_same(what, "hives")) CmInitialize();
  else if (is_same(what, "callbacks")) CbRegister(DRIVER_BASE);
  else if (is_same(what, "hook")) hook_service(to_number(name), DRIVER_BASE + 0x1008);
  else if (!process) {
    begin_truth("unknown");
    tell_text("what", what);
    end_truth();
  } else if (is_same(what, "exit")) end_process(process, 0);
  else if (is_same(what, "hide")) hide_process(process);
  else if (is_same(what, "trim")) trim_process(process);
  else if (is_same(what, "zombie")) end_process(process, 1);
  else if (is_same(what, "load")) load_module(process, find_file(loader, more), more);
  else if (is_same(what, "unload")) unload_module(process, find_file(loader, more), more);
  else if (is_same(what, "thread")) start_thread(process, (u64)process->SectionBaseAddress + 0x1000, 0);
  else if (is_same(what, "handles")) make_handles(process, to_number(more));
}

static void follow_script(struct loader_block *loader, struct loaded_file *script) {
  char line[96];
  u32 length = 0;
  const char *text = phys(script->start);
  for (u64 at = 0; at < script->size; at++) {
    if (text[at] != '\n') {
      if (length < sizeof line - 1) line[length++] = text[at];
      continue;
    }
    line[length] = 0;
    char *words[3] = {line, line + length, line + length};
    for (u32 c = 0, word = 1; c < length && word < 3; c++) {
      if (line[c] != ' ') continue;
      line[c] = 0;
      words[word++] = line + c + 1;
    }
    if (length) act(loader, words);
    tick();
    length = 0;
  }
}

void KiSystemStartup(struct loader_block *given) {
  static struct loader_block loader;
  loader = *given;
  MiInitialize(&loader);
  ObInitialize();
  fill_services();
  initialize_processor();
  fill_shared_data();
  fill_debugger_data(&loader);
  begin_truth("kernel");
  tell_number("base", loader.base);
  tell_number("size", loader.image_size);
  tell_number("build", NT_BUILD);
  end_truth();
  list_kernel(&loader);
  CbFill();
  PsInitialize();
  follow_script(&loader, find_file(&loader, "script"));
  begin_truth("done");
  end_truth();
  // ACPI's S5 on QEMU's PC: the machine goes off a moment later.
  __asm__ volatile("outw %0, %1" ::"a"((u16)0x2000), "d"((u16)0x604));
  for (;;) __asm__ volatile("pause");
}
