// Functions that the kernel calls on certain occasions, as drivers ask for it.
#include "nt.h"

#define SLOTS 64
EXPORT u64 PspCreateProcessNotifyRoutine[SLOTS];
EXPORT u64 PspCreateThreadNotifyRoutine[SLOTS];
EXPORT u64 PspLoadImageNotifyRoutine[SLOTS];
EXPORT struct _LIST_ENTRY CallbackListHead;
EXPORT struct _LIST_ENTRY KeBugCheckCallbackListHead;
EXPORT struct _LIST_ENTRY KeBugCheckReasonCallbackListHead;
EXPORT struct _LIST_ENTRY IopNotifyShutdownQueueHead;
EXPORT struct _LIST_ENTRY IopFsNotifyChangeQueueHead;

struct routine_block {
  u64 rundown;
  void *function;
  void *context;
};
struct registry_callback {
  struct _LIST_ENTRY links;
  u64 reserved, cookie;
  void *context, *function;
  struct _UNICODE_STRING altitude;
};
// wdm.h
struct bugcheck_record {
  struct _LIST_ENTRY entry;
  void *function, *buffer;
  u32 length;
  const char *component;
  u64 checksum;
  u8 state;
};
struct reason_record {
  struct _LIST_ENTRY entry;
  void *function;
  const char *component;
  u64 checksum;
  u32 reason;
  u8 state;
};
struct shutdown_packet {
  struct _LIST_ENTRY entry;
  struct _DEVICE_OBJECT *device;
};
struct change_packet {
  struct _LIST_ENTRY entry;
  struct _DRIVER_OBJECT *driver;
  void *function;
};

static void tell(const char *list, u64 address, const char *detail) {
  begin_truth("callback");
  tell_text("list", list);
  tell_number("address", address);
  tell_text("detail", detail);
  end_truth();
}

static void add_routine(u64 *slots, u32 slot, const char *list, u64 function) {
  struct routine_block *block = ExAllocatePool(sizeof *block);
  block->function = (void *)function;
  // The lower bits count references that are taken in advance.
  slots[slot] = (u64)block | 0xf;
  tell(list, function, "");
}

NOINLINE static void PsOwnCallback(void) { __asm__ volatile(""); }

void CbFill(void) {
  struct _LIST_ENTRY *heads[] = {&CallbackListHead, &KeBugCheckCallbackListHead, &KeBugCheckReasonCallbackListHead,
                                 &IopNotifyShutdownQueueHead, &IopFsNotifyChangeQueueHead};
  for (u32 at = 0; at < sizeof heads / sizeof *heads; at++) list_init(heads[at]);
}

// @param driver the base of a driver, which is in memory
void CbRegister(u64 driver) {
  u64 function = driver + 0x1000;
  // Code that belongs to no module.
  u64 stray = (u64)ExAllocatePool(64);
  add_routine(PspCreateProcessNotifyRoutine, 0, "PspCreateProcessNotifyRoutine", (u64)PsOwnCallback);
  add_routine(PspCreateProcessNotifyRoutine, 2, "PspCreateProcessNotifyRoutine", function);
  add_routine(PspCreateThreadNotifyRoutine, SLOTS - 1, "PspCreateThreadNotifyRoutine", stray);
  add_routine(PspLoadImageNotifyRoutine, 0, "PspLoadImageNotifyRoutine", function + 1);
  struct registry_callback *registry = ExAllocatePool(sizeof *registry);
  registry->function = (void *)(function + 2);
  make_string(&registry->altitude, "321000");
  list_append(&CallbackListHead, &registry->links);
  tell("CallbackListHead", function + 2, "321000");
  struct bugcheck_record *bugcheck = ExAllocatePool(sizeof *bugcheck);
  bugcheck->function = (void *)(function + 3);
  bugcheck->component = "disk";
  list_append(&KeBugCheckCallbackListHead, &bugcheck->entry);
  tell("KeBugCheckCallbackListHead", function + 3, "disk");
  struct reason_record *reason = ExAllocatePool(sizeof *reason);
  reason->function = (void *)(function + 4);
  reason->component = "dump";
  list_append(&KeBugCheckReasonCallbackListHead, &reason->entry);
  tell("KeBugCheckReasonCallbackListHead", function + 4, "dump");
  struct _DRIVER_OBJECT *object = ObCreateObject(TYPE_DRIVER, sizeof *object, 0);
  object->DriverStart = (void *)driver;
  make_string(&object->DriverName, "\\Driver\\disk");
  for (u32 at = 0; at < 28; at++) ((u64 *)object->MajorFunction)[at] = function + 16 + at;
  struct _DEVICE_OBJECT *device = ExAllocatePool(sizeof *device);
  device->DriverObject = object;
  struct shutdown_packet *shutdown = ExAllocatePool(sizeof *shutdown);
  shutdown->device = device;
  list_append(&IopNotifyShutdownQueueHead, &shutdown->entry);
  tell("IopNotifyShutdownQueueHead", function + 16 + 16, "\\Driver\\disk");
  struct change_packet *change = ExAllocatePool(sizeof *change);
  change->driver = object;
  change->function = (void *)(function + 5);
  list_append(&IopFsNotifyChangeQueueHead, &change->entry);
  tell("IopFsNotifyChangeQueueHead", function + 5, "\\Driver\\disk");
}
