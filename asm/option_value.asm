; What stands behind an option, from text to number.
;
; Every parser is void parse(const char *text, const struct option *entry): it writes the
; variable of the entry, or ends the program and says what it wanted.

%include "exit.inc"
%include "option.inc"

    default rel
    section .text

    extern  fail                                ; fail.asm
    extern  strcmp, strspn, strtod

    global  parse_text:function (parse_text.end - parse_text)
    global  parse_flag:function (parse_flag.end - parse_flag)
    global  parse_whole:function (parse_whole.end - parse_whole)
    global  parse_choice:function (parse_choice.end - parse_choice)
    global  parse_count:function (parse_count.end - parse_count)
    global  parse_real:function (parse_real.end - parse_real)
    global  parse_below_one:function (parse_below_one.end - parse_below_one)
    global  read_decimal:function (read_decimal.end - read_decimal)

%define text        rdi
%define entry       rsi

;   void parse_text(const char *text, const struct option *entry)
;   anything but nothing; the variable becomes the pointer
;   clobbers rax
parse_text:
    cmp     byte [text], 0
    je      .empty
    mov     rax, [entry + option.target]
    mov     [rax], text
    ret
.empty:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rdx, [entry + option.name]
    mov     rcx, [entry + option.metavar]
    mov     edi, EXIT_OPTIONS
    lea     rsi, [empty]
    call    fail
.end:

;   void parse_flag(const char *text, const struct option *entry)
;   no text; the variable becomes 1
;   clobbers rax
parse_flag:
    mov     rax, [entry + option.target]
    mov     qword [rax], 1
    ret
.end:

;   void parse_count(const char *text, const struct option *entry)
;   "all" or a whole number in least .. most; the variable is a uint64
;   clobbers what a call may
parse_count:
    push    text
    push    entry
    sub     rsp, 8                              ; 8 + 2 * 8 + 8: calls are 16-byte aligned
    lea     rsi, [all]
    call    strcmp
    add     rsp, 8
    pop     entry
    pop     text
    test    eax, eax
    jnz     parse_whole
    mov     rax, [entry + option.target]
    mov     qword [rax], -1
    ret
.end:

;   void parse_whole(const char *text, const struct option *entry)
;   digits only, a whole number in least .. most; the variable is a uint64
;   clobbers rax, rcx, rdx, r8, r9
%define number      rax
%define digit       rcx
%define next        r8
%define ten         r9

parse_whole:
    mov     next, text
    xor     number, number
    mov     ten, 10
.loop:
    movzx   ecx, byte [next]
    sub     ecx, '0'
    cmp     ecx, 9
    ja      .wrong                              ; below '0' wraps around
    mul     ten                                 ; rdx is what does not fit
    jc      .wrong
    add     number, digit
    jc      .wrong
    inc     next
    cmp     byte [next], 0
    jne     .loop

    cmp     number, [entry + option.least]
    jb      .wrong
    cmp     number, [entry + option.most]
    ja      .wrong
    mov     rcx, [entry + option.target]
    mov     [rcx], number
    ret

.wrong:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rdx, [entry + option.name]
    mov     rcx, text
    mov     r8, [entry + option.least]
    mov     r9, [entry + option.most]
    mov     edi, EXIT_OPTIONS
    lea     rsi, [not_whole]
    call    fail
.end:

%undef number
%undef digit
%undef next
%undef ten
%undef text
%undef entry

;   void parse_choice(const char *text, const struct option *entry)
;   rdi = text   one of the names at least, which end with a null pointer
;   rsi = entry  its variable, an int64, becomes the name's number, from 0
;   clobbers what a call may
%define text        rbx
%define entry       rbp
%define number      r12

parse_choice:
    push    rbx
    push    rbp
    push    r12                                 ; 8 + 3 * 8: calls are 16-byte aligned
    mov     text, rdi
    mov     entry, rsi
    xor     number, number
.loop:
    mov     rax, [entry + option.least]
    mov     rsi, [rax + number * 8]
    test    rsi, rsi
    jz      .wrong
    mov     rdi, text
    call    strcmp
    test    eax, eax
    jz      .found
    inc     number
    jmp     .loop
.found:
    mov     rax, [entry + option.target]
    mov     [rax], number
    pop     r12
    pop     rbp
    pop     rbx
    ret

.wrong:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [no_choice]
    mov     rdx, [entry + option.name]
    mov     rcx, text
    mov     r8, [entry + option.metavar]
    call    fail
.end:

%undef text
%undef entry
%undef number

;   double read_decimal(const char *text)
;   rdi = text
;   returns the number in xmm0, and in eax 1 if the text is a decimal number without a sign,
;   else 0
;   clobbers what a call may
%define text        rbx
%define rest        [rsp]                       ; char *, where strtod stopped

read_decimal:
    push    rbx
    sub     rsp, 16                             ; 8 + 8 + 16: calls are 16-byte aligned
    mov     text, rdi
    movzx   eax, byte [text]                    ; strtod would also take spaces, signs,
    cmp     eax, '.'                            ;   hexadecimal, inf and nan
    je      .digits
    sub     eax, '0'
    cmp     eax, 9
    ja      .wrong
.digits:
    lea     rsi, [decimal]
    call    strspn
    cmp     byte [text + rax], 0
    jne     .wrong
    mov     rdi, text
    lea     rsi, rest
    call    strtod
    mov     rdx, rest
    xor     eax, eax
    cmp     rdx, text
    je      .done
    cmp     byte [rdx], 0
    sete    al
.done:
    add     rsp, 16
    pop     rbx
    ret
.wrong:
    xor     eax, eax
    jmp     .done
.end:

%undef text
%undef rest

;   void parse_real(const char *text, const struct option *entry)
;   rdi = text   a decimal number in least .. most
;   rsi = entry  its variable is a float
;   clobbers what a call may
%define text        rbx
%define entry       rbp

parse_real:
    push    rbx
    push    rbp
    sub     rsp, 8                              ; 8 + 2 * 8 + 8: calls are 16-byte aligned
    mov     text, rdi
    mov     entry, rsi
    call    read_decimal
    test    eax, eax
    jz      .wrong
    comisd  xmm0, [entry + option.least]
    jb      .wrong
    comisd  xmm0, [entry + option.most]
    ja      .wrong
    cvtsd2ss xmm0, xmm0
    mov     rax, [entry + option.target]
    movss   [rax], xmm0
    add     rsp, 8
    pop     rbp
    pop     rbx
    ret

.wrong:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [not_real]
    mov     rdx, [entry + option.name]
    mov     rcx, text
    movsd   xmm0, [entry + option.least]
    movsd   xmm1, [entry + option.most]
    call    fail
.end:

;   void parse_below_one(const char *text, const struct option *entry)
;   rdi = text   a decimal number in 0 <= x < 1, and still under 1 as a float
;   rsi = entry  its variable is a float
;   clobbers what a call may
parse_below_one:
    push    rbx
    push    rbp
    sub     rsp, 8                              ; 8 + 2 * 8 + 8: calls are 16-byte aligned
    mov     text, rdi
    mov     entry, rsi
    call    read_decimal
    test    eax, eax
    jz      .wrong
    cvtsd2ss xmm0, xmm0
    comiss  xmm0, [one]
    jae     .wrong
    mov     rax, [entry + option.target]
    movss   [rax], xmm0
    add     rsp, 8
    pop     rbp
    pop     rbx
    ret

.wrong:
    mov     edi, EXIT_OPTIONS
    lea     rsi, [not_below_one]
    mov     rdx, [entry + option.name]
    mov     rcx, text
    call    fail
.end:

%undef text
%undef entry

    section .rodata

all:        db "all", 0
decimal:    db "0123456789.eE+-", 0
empty:      db "--%s: wanted %s, found nothing; see --help", 0
not_whole:  db "--%s '%s': wanted a whole number from %lu to %lu; see --help", 0
not_real:   db "--%s '%s': wanted a number from %g to %g; see --help", 0
not_below_one:
            db "--%s '%s': wanted a number from 0 to less than 1; see --help", 0
no_choice:  db "--%s '%s': wanted %s; see --help", 0

    align 4, db 0
one:        dd 1.0

    section .note.GNU-stack noalloc noexec nowrite progbits
