/**
 * Every kind of control flow in one boot sector: conditional and other jumps, loops, calls, returns, indirect jumps, an
 * interrupt with its return, string instructions, and the way from 16-bit to 32-bit code. Ends at `stop`.
 */
export const CONTROL_FLOW = `
  cli
  xor %ax, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7a00, %sp
  ljmp $0, $entry
entry:
  movw $handler, 0x200
  movw $0, 0x202
  mov $5, %cx
again:
  dec %cx
  jnz again
  mov $3, %bx
outer:
  mov $2, %cx
inner:
  loop inner
  dec %bx
  jnz outer
  call function
  call *pointer
  mov $target, %ax
  jmp *%ax
  hlt
target:
  int $0x80
  int $0x80
  mov $0x6000, %di
  mov $9, %cx
  xor %ax, %ax
  rep stosb
  mov $0x6000, %si
  mov $0x6100, %di
  mov $5, %cx
  rep movsw
  xor %cx, %cx
  rep stosb
  jcxz skip
  hlt
skip:
  test %ax, %ax
  jne wrong
  lgdt descriptor
  mov %cr0, %eax
  or $1, %al
  mov %eax, %cr0
  ljmp $8, $protected
wrong:
  hlt
handler:
  inc %dx
  iret
function:
  call leaf
  ret
leaf:
  cmp $0, %dx
  je leave
  nop
leave:
  ret
.code32
protected:
  mov $16, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7a00, %esp
  mov $4, %ecx
turn:
  push %ecx
  call square
  pop %ecx
  dec %ecx
  jnz turn
stop:
  hlt
  jmp stop
square:
  imul %ecx, %ecx
  ret
pointer:
  .word function
.align 8
table:
  .quad 0
  .quad 0x00cf9a000000ffff
  .quad 0x00cf92000000ffff
descriptor:
  .word 23
  .long table
`;
