; The end of a program that cannot go on: one line on stderr, then the exit code.

    default rel
    section .text

    extern  asprintf, dprintf, exit

    global  fail:function (fail.end - fail)

STDERR          equ 2
FIRST_PRINTABLE equ ' '
DELETE          equ 127

;   noreturn void fail(int code, const char *format, ...)
;   edi = code    of exit.inc
;   rsi = format  of printf, without a newline
;   rdx, rcx, r8, r9, xmm0, xmm1 = what the format asks for
%define code        ebx
%define message     qword [rsp]
%define character   rax

fail:
    push    rbx
    sub     rsp, 16                             ; 8 + 8 + 16: calls are 16-byte aligned
    mov     code, edi
    mov     rdi, rsp                            ; asprintf's arguments lie where ours do
    mov     eax, 2                              ; vector registers that may be in use
    call    asprintf
    test    eax, eax
    js      .exit

    mov     character, message                  ; a path may hold newlines; a message is one line
.loop:
    cmp     byte [character], 0
    je      .print
    cmp     byte [character], DELETE
    je      .replace
    cmp     byte [character], FIRST_PRINTABLE
    jae     .next
.replace:
    mov     byte [character], '?'
.next:
    inc     character
    jmp     .loop

.print:
    mov     edi, STDERR
    lea     rsi, [line]
    mov     rdx, message
    xor     eax, eax
    call    dprintf
.exit:
    mov     edi, code
    call    exit
.end:

%undef code
%undef message
%undef character

    section .rodata

line:           db "mnist: %s", 10, 0

    section .note.GNU-stack noalloc noexec nowrite progbits
