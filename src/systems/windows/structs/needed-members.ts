import { findPlace } from "../../symbols/member-path";
import type { TypeSource } from "../../symbols/type-source";

/**
 * The members that reading Windows needs, by subject. Each line is one fact to be read: of several forms, newest first, any one
 * will do, for structs and members were renamed and moved between versions.
 */
export const NEEDED_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  lists: ["_LIST_ENTRY.Flink", "_LIST_ENTRY.Blink", "_UNICODE_STRING.Length", "_UNICODE_STRING.Buffer"],
  "address spaces": ["_KPROCESS.DirectoryTableBase"],
  processors: [
    "_KPCR.Self | _KPCR.SelfPcr",
    "_KPCR.CurrentPrcb | _KPCR.Prcb",
    "_KPCR.Prcb | _KPCR.PrcbData",
    "_KPRCB.CurrentThread",
    "_KPRCB.Number",
  ],
  processes: [
    "_EPROCESS.Pcb",
    "_EPROCESS.UniqueProcessId",
    "_EPROCESS.ActiveProcessLinks",
    "_EPROCESS.InheritedFromUniqueProcessId",
    "_EPROCESS.ImageFileName",
    "_EPROCESS.CreateTime",
    "_EPROCESS.ExitTime",
    "_EPROCESS.ExitStatus",
    "_EPROCESS.ThreadListHead",
    "_EPROCESS.ActiveThreads",
    "_EPROCESS.SectionBaseAddress",
    "_EPROCESS.SeAuditProcessCreationInfo",
    "_EPROCESS.Session",
    "_EPROCESS.Token",
    "_EPROCESS.Peb",
    "_EPROCESS.ObjectTable",
    "_EPROCESS.VadRoot",
  ],
  threads: [
    "_ETHREAD.Tcb",
    "_ETHREAD.Cid",
    "_ETHREAD.ThreadListEntry",
    "_ETHREAD.StartAddress",
    "_ETHREAD.Win32StartAddress",
    "_ETHREAD.CreateTime",
    "_KTHREAD.Process | _KTHREAD.ApcState.Process | _ETHREAD.ThreadsProcess",
    "_KTHREAD.ApcState",
    "_KTHREAD.Teb",
    "_KTHREAD.State",
    "_KTHREAD.KernelStack",
    "_KTHREAD.InitialStack",
    "_KTHREAD.PreviousMode",
  ],
  "user modules": [
    "_PEB.Ldr",
    "_PEB.ProcessParameters",
    "_PEB.ImageBaseAddress",
    "_PEB_LDR_DATA.InLoadOrderModuleList",
    "_PEB_LDR_DATA.InMemoryOrderModuleList",
    "_LDR_DATA_TABLE_ENTRY.InLoadOrderLinks",
    "_LDR_DATA_TABLE_ENTRY.DllBase",
    "_LDR_DATA_TABLE_ENTRY.SizeOfImage",
    "_LDR_DATA_TABLE_ENTRY.EntryPoint",
    "_LDR_DATA_TABLE_ENTRY.FullDllName",
    "_LDR_DATA_TABLE_ENTRY.BaseDllName",
    "_RTL_USER_PROCESS_PARAMETERS.CommandLine",
    "_RTL_USER_PROCESS_PARAMETERS.ImagePathName",
    "_RTL_USER_PROCESS_PARAMETERS.Environment",
    "_RTL_USER_PROCESS_PARAMETERS.CurrentDirectory",
  ],
  WoW64: ["_PEB32.ImageBaseAddress | _PEB.ImageBaseAddress", "_PEB32.Ldr | _PEB.Ldr"],
  handles: [
    "_HANDLE_TABLE.TableCode",
    "_HANDLE_TABLE.NextHandleNeedingPool",
    "_HANDLE_TABLE_ENTRY.ObjectPointerBits | _HANDLE_TABLE_ENTRY.Object",
    "_HANDLE_TABLE_ENTRY.GrantedAccessBits | _HANDLE_TABLE_ENTRY.GrantedAccess",
    "_OBJECT_HEADER.Body",
    "_OBJECT_HEADER.TypeIndex | _OBJECT_HEADER.Type",
    "_OBJECT_HEADER.InfoMask | _OBJECT_HEADER.NameInfoOffset",
    "_OBJECT_TYPE.Name",
    "_OBJECT_TYPE.TypeInfo",
    "_FILE_OBJECT.FileName",
    "_FILE_OBJECT.DeviceObject",
  ],
  "address ranges": [
    "_MMVAD_SHORT.VadNode.Left | _MMVAD_SHORT.VadNode.LeftChild | _MMVAD_SHORT.LeftChild",
    "_MMVAD_SHORT.VadNode.Right | _MMVAD_SHORT.VadNode.RightChild | _MMVAD_SHORT.RightChild",
    "_MMVAD_SHORT.StartingVpn",
    "_MMVAD_SHORT.EndingVpn",
    "_MMVAD_SHORT.u | _MMVAD_SHORT.u1",
    "_MMVAD.Subsection | _MMVAD.ControlArea",
    "_SUBSECTION.ControlArea",
    "_CONTROL_AREA.Segment",
    "_CONTROL_AREA.FilePointer",
    "_SEGMENT.ControlArea",
  ],
  registry: [
    "_CMHIVE.Hive",
    "_CMHIVE.HiveList",
    "_CMHIVE.FileFullPath",
    "_HHIVE.Signature",
    "_HHIVE.BaseBlock",
    "_HHIVE.Storage",
    "_CMHIVE.HiveRootPath | _CMHIVE.FileUserName",
    "_CM_KEY_CONTROL_BLOCK.KeyHive",
    "_CM_KEY_CONTROL_BLOCK.KeyCell",
    "_CM_KEY_CONTROL_BLOCK.ParentKcb",
    "_CM_KEY_CONTROL_BLOCK.NameBlock",
  ],
  security: ["_TOKEN.UserAndGroups", "_TOKEN.UserAndGroupCount", "_TOKEN.Privileges", "_TOKEN.SessionId"],
  drivers: [
    "_DRIVER_OBJECT.DriverStart",
    "_DRIVER_OBJECT.DriverSize",
    "_DRIVER_OBJECT.DriverName",
    "_DRIVER_OBJECT.MajorFunction",
  ],
};

/** Lists the needed members of which types have no form, as `subject: forms`. */
export function listMissingMembers(types: TypeSource): string[] {
  return Object.entries(NEEDED_MEMBERS).flatMap(([subject, needs]) =>
    needs
      .filter((forms) => !forms.split(" | ").some((form) => hasMember(types, form)))
      .map((forms) => `${subject}: ${forms}`),
  );
}

function hasMember(types: TypeSource, form: string): boolean {
  const at = form.indexOf(".");
  const type = types.findCompound(form.slice(0, at));
  return type !== undefined && findPlace(type, form.slice(at + 1)) !== undefined;
}
