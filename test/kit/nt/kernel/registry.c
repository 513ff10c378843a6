// Hives: cells in bins of blocks, which a map of two levels finds. The cells are those of a hive's file.
#include "nt.h"

EXPORT struct _LIST_ENTRY CmpHiveListHead;
#ifdef NT_HAS_REGISTRY_PROCESS
EXPORT struct _EPROCESS *CmpRegistryProcess;
// Where the blocks lie in the memory of the process Registry.
static u64 next_address = 0x1f000000000ull;
#endif

#define STABLE 0u
#define VOLATILE 0x80000000u
#define NO_CELL 0xffffffffu
#define BIN_HEADER 32u
#define SEGMENT 16344u
enum { IS_ENTRY = 4, CANNOT_BE_DELETED = 8, IS_LINK = 16, IS_NARROW = 32 };
enum { REG_SZ = 1, REG_EXPAND_SZ, REG_BINARY, REG_DWORD, REG_LINK = 6, REG_MULTI_SZ, REG_QWORD = 11 };

struct hive {
  struct _CMHIVE hive;
  // The next cell of each storage, and the end of its last bin.
  u32 at[2], end[2];
  const char *root;
};
static struct key {
  struct hive *hive;
  u32 cell, parent, storage, subkeys[2], values;
  const char *name;
} keys[256];
static struct value {
  u32 key, cell;
} values[512];
static u32 key_count, value_count;

// The kernel's own way to each block; the map has the guest's.
static u8 *blocks[2][4][1024];
static u32 hive_number(struct hive *hive) {
  u32 number = 0;
  for (struct _LIST_ENTRY *at = CmpHiveListHead.Flink; at != &hive->hive.HiveList; at = at->Flink) number++;
  return number;
}

static u8 *cell_at(struct hive *hive, u32 cell) {
  return blocks[cell >> 31][hive_number(hive)][(cell & ~VOLATILE) >> 12] + (cell & 0xfff) + 4;
}

static struct _DUAL *storage_of(struct hive *hive, u32 kind) { return &hive->hive.Hive.Storage[kind ? 1 : 0]; }

static void add_bin(struct hive *hive, u32 kind, u32 size) {
  struct _DUAL *storage = storage_of(hive, kind);
  u32 index = kind ? 1 : 0, start = hive->end[index];
  u8 *memory = (u8 *)(((u64)ExAllocatePool(size + PAGE) + PAGE - 1) & ~(PAGE - 1));
  u64 address = (u64)memory;
#ifdef NT_HAS_REGISTRY_PROCESS
  address = next_address;
  next_address += size;
  for (u32 at = 0; at < size; at += PAGE)
    MiMapPage(CmpRegistryProcess->Pcb.DirectoryTableBase, address + at, (u64)memory - PHYSICAL_MAP + at, 7);
#endif
  *(u32 *)memory = 0x6e696268;
  *(u32 *)(memory + 4) = start;
  *(u32 *)(memory + 8) = size;
  if (!storage->Map) storage->Map = ExAllocatePool(sizeof(struct _HMAP_DIRECTORY));
  for (u32 at = 0; at < size; at += (u32)PAGE) {
    u32 block = (start + at) >> 12;
    struct _HMAP_TABLE **table = (void *)&storage->Map->Directory[block >> 9];
    if (!*table) *table = ExAllocatePool(sizeof(struct _HMAP_TABLE));
    struct _HMAP_ENTRY *entry = &(*table)->Table[block & 511];
#if NT_BUILD >= 10240
    // The lowest bits are flags.
    entry->PermanentBinAddress = address | 1;
    entry->BlockOffset = at;
#else
    entry->BlockAddress = address + at;
    entry->BinAddress = address | 1;
#endif
    blocks[index][hive_number(hive)][block] = memory + at;
  }
  hive->at[index] = start + BIN_HEADER;
  hive->end[index] = storage->Length = start + size;
}

static u32 allocate_cell(struct hive *hive, u32 kind, u32 size) {
  u32 index = kind ? 1 : 0, whole = (size + 4 + 7) & ~7u;
  if (hive->at[index] + whole > hive->end[index]) add_bin(hive, kind, (whole + BIN_HEADER + 0xfff) & ~0xfffu);
  u32 cell = hive->at[index] | kind;
  hive->at[index] += whole;
  *(int *)(cell_at(hive, cell) - 4) = -(int)whole;
  return cell;
}

static u32 length_of(const char *text) {
  u32 length = 0;
  while (text[length]) length++;
  return length;
}

// A name with a letter that is none of ASCII is written in two bytes a letter.
static u32 name_size(const char *name) {
  u32 length = length_of(name);
  for (u32 at = 0; at < length; at++)
    if ((u8)name[at] > 127) return length * 2;
  return length;
}

static void put_name(u8 *to, const char *name) {
  u32 length = length_of(name), size = name_size(name);
  for (u32 at = 0; at < length; at++)
    if (size == length) to[at] = (u8)name[at];
    else ((u16 *)to)[at] = (u8)name[at];
}

static u32 create_key(struct hive *hive, u32 parent, const char *name, u32 kind, u16 flags) {
  u32 size = name_size(name), cell = allocate_cell(hive, kind, 0x4c + size);
  u8 *key = cell_at(hive, cell);
  *(u16 *)key = 0x6b6e;
  *(u16 *)(key + 2) = flags | (size == length_of(name) ? IS_NARROW : 0);
  *(u64 *)(key + 4) = now() + key_count;
  *(u32 *)(key + 0x10) = parent < key_count ? keys[parent].cell : NO_CELL;
  *(u32 *)(key + 0x1c) = *(u32 *)(key + 0x20) = *(u32 *)(key + 0x28) = NO_CELL;
  *(u32 *)(key + 0x2c) = *(u32 *)(key + 0x30) = NO_CELL;
  *(u16 *)(key + 0x48) = (u16)size;
  put_name(key + 0x4c, name);
  keys[key_count] = (struct key){hive, cell, parent, kind, {0, 0}, 0, name};
  return key_count++;
}

static void set_value(u32 key, const char *name, u32 type, const void *data, u32 size) {
  struct hive *hive = keys[key].hive;
  u32 kind = keys[key].storage, name_bytes = name_size(name);
  u32 cell = allocate_cell(hive, kind, 0x14 + name_bytes), content = NO_CELL;
  if (size > SEGMENT) {
    content = allocate_cell(hive, kind, 8);
    u32 count = (size + SEGMENT - 1) / SEGMENT, list = allocate_cell(hive, kind, count * 4);
    for (u32 at = 0; at < count; at++) {
      u32 part = at + 1 < count ? SEGMENT : size - at * SEGMENT, segment = allocate_cell(hive, kind, part);
      memcpy(cell_at(hive, segment), (const u8 *)data + at * SEGMENT, part);
      ((u32 *)cell_at(hive, list))[at] = segment;
    }
    *(u16 *)cell_at(hive, content) = 0x6264;
    *(u16 *)(cell_at(hive, content) + 2) = (u16)count;
    *(u32 *)(cell_at(hive, content) + 4) = list;
  } else if (size > 4) {
    content = allocate_cell(hive, kind, size);
    memcpy(cell_at(hive, content), data, size);
  }
  u8 *value = cell_at(hive, cell);
  *(u16 *)value = 0x6b76;
  *(u16 *)(value + 2) = (u16)name_bytes;
  *(u32 *)(value + 4) = size | (size <= 4 ? 0x80000000u : 0);
  *(u32 *)(value + 8) = content;
  if (size <= 4) memcpy(value + 8, data, size);
  *(u32 *)(value + 12) = type;
  *(u16 *)(value + 16) = name_bytes == length_of(name);
  put_name(value + 0x14, name);
  values[value_count++] = (struct value){key, cell};
  keys[key].values++;
  static const char digits[] = "0123456789abcdef";
  char shown[65];
  u32 sum = 0;
  for (u32 at = 0; at < size; at++) sum = sum * 31 + ((const u8 *)data)[at];
  for (u32 at = 0; at < 32; at++) {
    u8 byte = at < size ? ((const u8 *)data)[at] : 0;
    shown[at * 2] = digits[byte >> 4];
    shown[at * 2 + 1] = digits[byte & 15];
  }
  shown[size < 32 ? size * 2 : 64] = 0;
  begin_truth("value");
  tell_number("key", key);
  tell_text("name", name);
  tell_number("type", type);
  tell_number("size", size);
  tell_text("data", shown);
  tell_number("sum", sum);
  end_truth();
}

// Text is given as bytes; "|" ends one of several texts.
static void set_text(u32 key, const char *name, u32 type, const char *text) {
  static u16 wide[256];
  u32 length = length_of(text);
  for (u32 at = 0; at < length; at++) wide[at] = text[at] == '|' ? 0 : (u8)text[at];
  wide[length] = wide[length + 1] = 0;
  set_value(key, name, type, wide, type == REG_LINK ? length * 2 : length * 2 + (type == REG_MULTI_SZ ? 4 : 2));
}

static void set_number(u32 key, const char *name, u32 number) { set_value(key, name, REG_DWORD, &number, 4); }

// Few subkeys have one list, of either kind; many have a list of lists.
static void link_subkeys(u32 parent, u32 kind) {
  struct hive *hive = keys[parent].hive;
  u32 cells[256], count = 0;
  for (u32 at = 0; at < key_count; at++)
    if (keys[at].parent == parent && keys[at].storage == kind) cells[count++] = keys[at].cell;
  keys[parent].subkeys[kind ? 1 : 0] = count;
  if (!count) return;
  u32 list;
  if (count <= 8) {
    list = allocate_cell(hive, kind, 4 + count * 8);
    u8 *bytes = cell_at(hive, list);
    *(u16 *)bytes = count <= 2 ? 0x666c : 0x686c;
    *(u16 *)(bytes + 2) = (u16)count;
    for (u32 at = 0; at < count; at++) *(u32 *)(bytes + 4 + at * 8) = cells[at];
  } else {
    u32 leaves = (count + 9) / 10;
    list = allocate_cell(hive, kind, 4 + leaves * 4);
    for (u32 leaf = 0; leaf < leaves; leaf++) {
      u32 first = leaf * 10, part = count - first < 10 ? count - first : 10;
      u32 made = allocate_cell(hive, kind, 4 + part * 4);
      u8 *bytes = cell_at(hive, made);
      *(u16 *)bytes = 0x696c;
      *(u16 *)(bytes + 2) = (u16)part;
      for (u32 at = 0; at < part; at++) *(u32 *)(bytes + 4 + at * 4) = cells[first + at];
      *(u32 *)(cell_at(hive, list) + 4 + leaf * 4) = made;
    }
    *(u16 *)cell_at(hive, list) = 0x6972;
    *(u16 *)(cell_at(hive, list) + 2) = (u16)leaves;
  }
  u8 *key = cell_at(hive, keys[parent].cell);
  *(u32 *)(key + 0x14 + (kind ? 4 : 0)) = count;
  *(u32 *)(key + 0x1c + (kind ? 4 : 0)) = list;
}

static void link_values(u32 key) {
  if (!keys[key].values) return;
  struct hive *hive = keys[key].hive;
  u32 list = allocate_cell(hive, keys[key].storage, keys[key].values * 4), count = 0;
  for (u32 at = 0; at < value_count; at++)
    if (values[at].key == key) ((u32 *)cell_at(hive, list))[count++] = values[at].cell;
  *(u32 *)(cell_at(hive, keys[key].cell) + 0x24) = count;
  *(u32 *)(cell_at(hive, keys[key].cell) + 0x28) = list;
}

static struct hive *create_hive(const char *root, const char *file) {
  struct hive *hive = ExAllocatePool(sizeof *hive);
  hive->hive.Hive.Signature = 0xbee0bee0;
  hive->hive.Hive.Version = 5;
  hive->hive.Hive.StorageTypeCount = 2;
  hive->hive.Hive.BaseBlock = ExAllocatePool(sizeof(struct _HBASE_BLOCK));
  hive->hive.Hive.BaseBlock->Signature = 0x66676572;
  hive->hive.Hive.BaseBlock->Major = 1;
  hive->hive.Hive.BaseBlock->Minor = 5;
  hive->root = root;
  make_string(&hive->hive.HiveRootPath, root);
  if (*file) make_string(&hive->hive.FileFullPath, file);
  list_append(&CmpHiveListHead, &hive->hive.HiveList);
  begin_truth("hive");
  tell_text("root", root);
  tell_text("file", file);
  tell_number("kaddr", (u64)hive);
  end_truth();
  return hive;
}

static u32 create_root(struct hive *hive) {
  u32 key = create_key(hive, NO_CELL, last_part(hive->root), *(u64 *)&hive->hive.FileFullPath ? STABLE : VOLATILE,
                       IS_ENTRY | CANNOT_BE_DELETED);
  hive->hive.Hive.BaseBlock->RootCell = keys[key].cell;
  return key;
}

static void tell_key(u32 key) {
  begin_truth("key");
  tell_number("key", key);
  tell_number("parent", keys[key].parent);
  tell_text("hive", keys[key].hive->root);
  tell_text("name", keys[key].name);
  tell_number("subkeys", keys[key].subkeys[0] + keys[key].subkeys[1]);
  tell_number("values", keys[key].values);
  tell_number("written", *(u64 *)(cell_at(keys[key].hive, keys[key].cell) + 4));
  end_truth();
}

static char service_names[100][12];

void CmInitialize(void) {
  list_init(&CmpHiveListHead);
#ifdef NT_HAS_REGISTRY_PROCESS
  CmpRegistryProcess = PsCreateMinimalProcess("Registry");
#endif
  struct hive *system = create_hive("\\REGISTRY\\MACHINE\\SYSTEM", "\\Device\\HarddiskVolume1\\Windows\\System32\\config\\SYSTEM");
  u32 root = create_root(system);
  u32 select = create_key(system, root, "Select", STABLE, 0);
  set_number(select, "Current", 1);
  u32 set = create_key(system, root, "ControlSet001", STABLE, 0);
  u32 link = create_key(system, root, "CurrentControlSet", VOLATILE, IS_LINK);
  set_text(link, "SymbolicLinkValue", REG_LINK, "\\Registry\\Machine\\System\\ControlSet001");
  u32 services = create_key(system, set, "Services", STABLE, 0);
  for (u32 at = 0; at < 100; at++) {
    const char *prefix = "Service";
    char *name = service_names[at];
    for (u32 c = 0; c < 7; c++) name[c] = prefix[c];
    name[7] = (char)('0' + at / 10);
    name[8] = (char)('0' + at % 10);
    u32 service = create_key(system, services, name, STABLE, 0);
    if (at % 10) continue;
    set_text(service, "ImagePath", REG_EXPAND_SZ, "%SystemRoot%\\System32\\svchost.exe -k netsvcs");
    set_number(service, "Start", at / 10);
  }
  // From here on its cells lie behind the first table of the map.
  system->end[0] = system->at[0] = 0x200000;
  u32 far = create_key(system, set, "Control", STABLE, 0);
  static u8 bytes[40000];
  for (u32 at = 0; at < sizeof bytes; at++) bytes[at] = (u8)(at * 7 + at / 256);
  set_value(far, "Large", REG_BINARY, bytes, sizeof bytes);
  set_value(far, "Short", REG_BINARY, bytes + 1, 3);
  set_value(far, "Longer", REG_BINARY, bytes + 1, 600);
  u64 wide = 0x123456789abcdef0ull;
  set_value(far, "Wide", REG_QWORD, &wide, 8);
  set_value(far, "Odd", 0x1234, bytes, 6);
  struct hive *software =
      create_hive("\\REGISTRY\\MACHINE\\SOFTWARE", "\\Device\\HarddiskVolume1\\Windows\\System32\\config\\SOFTWARE");
  u32 run = create_root(software);
  static const char *const way[] = {"Microsoft", "Windows", "CurrentVersion", "Run"};
  for (u32 at = 0; at < 4; at++) run = create_key(software, run, way[at], STABLE, 0);
  set_text(run, "", REG_SZ, "the default value");
  set_text(run, "Updater", REG_SZ, "C:\\Users\\Public\\updater.exe /quiet");
  set_text(run, "Several", REG_MULTI_SZ, "one|two|three");
  set_text(run, "Schl\xfcssel", REG_SZ, "gr\xfc\xdf");
  u32 special = create_key(software, run, "Pr\xfc" "fung", STABLE, 0);
  set_number(special, "Zero", 0);
  // A hive without a file, all of whose cells are volatile.
  struct hive *hardware = create_hive("\\REGISTRY\\MACHINE\\HARDWARE", "");
  u32 description = create_key(hardware, create_root(hardware), "DESCRIPTION", VOLATILE, 0);
  set_text(description, "Identifier", REG_SZ, "AT compatible");
  for (u32 key = 0; key < key_count; key++) {
    link_subkeys(key, STABLE);
    link_subkeys(key, VOLATILE);
    link_values(key);
    tell_key(key);
  }
}
