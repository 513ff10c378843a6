// The system calls that programs make: they do as little as will do, and tell what they were asked for.
#include "nt.h"

enum { KEY_OBJECT = 44, OBJ_INSENSITIVE = 0x40 };
enum { STATUS_INVALID_HANDLE = 0xc0000008u, STATUS_INVALID_CID = 0xc000000bu, FILE_CREATED = 2, FILE_OPENED = 1 };

struct object_attributes {
  u64 length, root;
  struct _UNICODE_STRING *name;
  u64 attributes;
};
struct key {
  struct _CM_KEY_BODY body;
};

static void tell_string(const char *key, const struct _UNICODE_STRING *string) {
  static char text[128];
  u32 length = string ? string->Length / 2 : 0;
  if (length > sizeof text - 1) length = sizeof text - 1;
  for (u32 at = 0; at < length; at++) text[at] = (char)((u16 *)string->Buffer)[at];
  text[length] = 0;
  tell_text(key, text);
}

static void begin_call(const char *name) {
  begin_truth("call");
  tell_text("name", name);
  tell_number("pid", (u64)current_thread()->Cid.UniqueProcess);
}

static struct _EPROCESS *current_process(void) { return (void *)current_thread()->Tcb.Process; }

static u64 give_handle(void *object, u32 access) { return ExCreateHandle(current_process()->ObjectTable, object, access); }

EXPORT NOINLINE u64 NtCreateFile(u64 *handle, u64 access, struct object_attributes *attributes, u64 *status, u64 *size, u64 flags,
                                 u64 share, u64 disposition, u64 options, u64 ea, u64 ea_size) {
  (void)size, (void)flags, (void)share, (void)ea, (void)ea_size;
  struct _FILE_OBJECT *file = ObCreateObject(TYPE_FILE, sizeof *file, 0);
  file->FileName.Length = file->FileName.MaximumLength = attributes->name->Length;
  file->FileName.Buffer = ExAllocatePool(attributes->name->Length);
  memcpy(file->FileName.Buffer, attributes->name->Buffer, attributes->name->Length);
  *handle = give_handle(file, (u32)access);
  // FILE_CREATE is 2, FILE_OPEN 1: what was done has the same numbers.
  status[0] = 0;
  status[1] = disposition;
  begin_call("NtCreateFile");
  tell_string("path", attributes->name);
  tell_number("disposition", disposition);
  tell_number("options", options);
  end_truth();
  return 0;
}

EXPORT NOINLINE u64 NtWriteFile(u64 handle) {
  begin_call("NtWriteFile");
  tell_number("handle", handle);
  end_truth();
  return handle ? 0 : STATUS_INVALID_HANDLE;
}

EXPORT NOINLINE u64 NtSetInformationFile(u64 handle, u64 *status, void *information, u64 length, u64 kind) {
  (void)information, (void)length;
  status[0] = 0;
  begin_call("NtSetInformationFile");
  tell_number("handle", handle);
  tell_number("class", kind);
  end_truth();
  return 0;
}

static struct _CM_KEY_CONTROL_BLOCK *create_block(struct _CM_KEY_CONTROL_BLOCK *parent, const u16 *name, u32 length) {
  struct _CM_KEY_CONTROL_BLOCK *block = ExAllocatePool(sizeof *block);
  struct _CM_NAME_CONTROL_BLOCK *text = ExAllocatePool(sizeof *text + length);
  text->Compressed = 1;
  text->NameLength = (u16)length;
  for (u32 at = 0; at < length; at++) ((u8 *)text->Name)[at] = (u8)name[at];
  block->NameBlock = (void *)text;
  block->ParentKcb = (void *)parent;
  return block;
}

// A key has a block for itself and for each key above it.
EXPORT NOINLINE u64 NtCreateKey(u64 *handle, u64 access, struct object_attributes *attributes, u64 title, void *class, u64 options,
                                u32 *disposition) {
  (void)title, (void)class, (void)options;
  struct _CM_KEY_CONTROL_BLOCK *block = 0;
  const u16 *name = attributes->name->Buffer;
  u32 length = attributes->name->Length / 2;
  for (u32 at = 1, start = 1; at <= length; at++) {
    if (at < length && name[at] != '\\') continue;
    block = create_block(block, name + start, at - start);
    start = at + 1;
  }
  struct key *key = ObCreateObject(KEY_OBJECT, sizeof *key, 0);
  key->body.Type = 0x6b793032;
  key->body.KeyControlBlock = (void *)block;
  *handle = give_handle(key, (u32)access);
  if (disposition) *disposition = 1;
  begin_call("NtCreateKey");
  tell_string("path", attributes->name);
  end_truth();
  return 0;
}

EXPORT NOINLINE u64 NtSetValueKey(u64 handle, struct _UNICODE_STRING *name, u64 title, u64 type, void *data, u64 size) {
  (void)title, (void)data;
  begin_call("NtSetValueKey");
  tell_number("handle", handle);
  tell_string("value", name);
  tell_number("type", type);
  tell_number("size", (u32)size);
  end_truth();
  return 0;
}

EXPORT NOINLINE u64 NtDeleteValueKey(u64 handle, struct _UNICODE_STRING *name) {
  begin_call("NtDeleteValueKey");
  tell_number("handle", handle);
  tell_string("value", name);
  end_truth();
  return 0;
}

EXPORT NOINLINE u64 NtOpenProcess(u64 *handle, u64 access, struct object_attributes *attributes, struct _CLIENT_ID *id) {
  (void)attributes;
  for (struct _LIST_ENTRY *at = PsActiveProcessHead.Flink; at != &PsActiveProcessHead; at = at->Flink) {
    struct _EPROCESS *process = CONTAINER(at, _EPROCESS, ActiveProcessLinks);
    if (process->UniqueProcessId != id->UniqueProcess) continue;
    *handle = give_handle(process, (u32)access);
    begin_call("NtOpenProcess");
    tell_number("target", (u64)id->UniqueProcess);
    end_truth();
    return 0;
  }
  return STATUS_INVALID_CID;
}

static u64 tell_handle(const char *call, u64 handle) {
  begin_call(call);
  tell_number("handle", handle);
  end_truth();
  return 0;
}

EXPORT NOINLINE u64 NtAllocateVirtualMemory(u64 process) { return tell_handle("NtAllocateVirtualMemory", process); }
EXPORT NOINLINE u64 NtProtectVirtualMemory(u64 process) { return tell_handle("NtProtectVirtualMemory", process); }
EXPORT NOINLINE u64 NtWriteVirtualMemory(u64 process) { return tell_handle("NtWriteVirtualMemory", process); }
EXPORT NOINLINE u64 NtCreateThreadEx(u64 *handle, u64 access, void *attributes, u64 process) {
  (void)handle, (void)access, (void)attributes;
  return tell_handle("NtCreateThreadEx", process);
}
// Fails: an act that did not happen is not told.
EXPORT NOINLINE u64 NtTerminateProcess(u64 process) {
  tell_handle("NtTerminateProcess", process);
  return STATUS_INVALID_HANDLE;
}

EXPORT NOINLINE u64 NtLoadDriver(struct _UNICODE_STRING *name) {
  begin_call("NtLoadDriver");
  tell_string("key", name);
  end_truth();
  return 0;
}

EXPORT NOINLINE u64 NtDeviceIoControlFile(u64 handle, u64 event, void *routine, void *context, u64 *status, u64 code) {
  (void)event, (void)routine, (void)context, (void)status;
  begin_call("NtDeviceIoControlFile");
  tell_number("handle", handle);
  tell_number("code", code);
  end_truth();
  // STATUS_PENDING, as a connection that is being made.
  return 0x103;
}
