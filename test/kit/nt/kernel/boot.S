# The 32-bit half of the loader: multiboot (https://www.gnu.org/software/grub/manual/multiboot/) starts it without paging; it
# calls loader_main(), switches to 64-bit mode with the tables that this made, and enters the kernel.
  .set MAGIC, 0x1badb002
  .set FLAGS, 3
  .section .multiboot, "a"
  .align 4
  .long MAGIC, FLAGS, -(MAGIC + FLAGS)

  .text
  .globl _start
_start:
  cli
  mov $stack_end, %esp
  push %ebx
  call loader_main
  # EAX: the loader block, whose first words are the page tables and the entry.
  mov %eax, %edi
  mov %cr4, %eax
  or $0x620, %eax
  mov %eax, %cr4
  mov (%edi), %eax
  mov %eax, %cr3
  mov $0xc0000080, %ecx
  rdmsr
  or $0x901, %eax
  wrmsr
  mov %cr0, %eax
  and $0xfffffffb, %eax
  or $0x80010002, %eax
  mov %eax, %cr0
  lgdt descriptor
  ljmp $0x10, $long_mode

  .code64
long_mode:
  mov $0x18, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov %edi, %edi
  mov $0xffffa00000000000, %rcx
  add %rdi, %rcx
  mov 24(%rcx), %rsp
  mov 16(%rcx), %rax
  sub $40, %rsp
  jmp *%rax

  .data
  .align 8
table:
  .quad 0, 0, 0x00af9a000000ffff, 0x00cf92000000ffff
descriptor:
  .word 31
  .long table

  .bss
  .align 16
  .skip 16384
stack_end:
