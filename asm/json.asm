; JSON out of C strings and doubles: whatever they hold, what is written can be read again.

    default rel
    section .text

    extern  fprintf, fputc

    global  json_text:function (json_text.end - json_text)
    global  json_number:function (json_number.end - json_number)

;   void json_text(FILE *out, const char *text)
;   rdi = out
;   rsi = text  any bytes
;   clobbers what a call may
;
; A byte above 127 becomes \udc80 .. \udcff, as Python has it in file names (PEP 383): not all
; of them are UTF-8, and os.fsencode gives every one back.
%define out         rbx
%define text        rbp                         ; the next byte
%define byte_here   edx

json_text:
    push    rbx
    push    rbp
    sub     rsp, 8                              ; 8 + 2 * 8 + 8: calls are 16-byte aligned
    mov     out, rdi
    mov     text, rsi
    mov     edi, '"'
    mov     rsi, out
    call    fputc

.loop:
    movzx   byte_here, byte [text]
    test    byte_here, byte_here
    jz      .done
    inc     text
    lea     rsi, [as_is]
    cmp     byte_here, '"'
    je      .quoted
    cmp     byte_here, '\'
    je      .quoted
    cmp     byte_here, 127
    je      .control
    ja      .upper
    cmp     byte_here, ' '
    jae     .print
.control:
    lea     rsi, [control]
    jmp     .print
.upper:
    lea     rsi, [upper]
    jmp     .print
.quoted:
    lea     rsi, [quoted]
.print:
    mov     rdi, out
    xor     eax, eax
    call    fprintf
    jmp     .loop

.done:
    mov     edi, '"'
    mov     rsi, out
    call    fputc
    add     rsp, 8
    pop     rbp
    pop     rbx
    ret
.end:

%undef out
%undef text
%undef byte_here

EXPONENT        equ 0x7ff                       ; of a double that is no finite number

;   void json_number(FILE *out, double number)
;   rdi  = out
;   xmm0 = number  one that JSON does not know becomes the text "nan", "inf" or "-inf"
;   clobbers what a call may
json_number:
    sub     rsp, 8                              ; calls are 16-byte aligned
    movq    rdx, xmm0
    mov     rcx, rdx
    shr     rcx, 52
    and     ecx, EXPONENT
    lea     rsi, [finite]
    mov     eax, 1                              ; one vector register is in use
    cmp     ecx, EXPONENT
    jne     .print

    lea     rsi, [not_a_number]
    ucomisd xmm0, xmm0
    jp      .print
    lea     rsi, [infinite]
    test    rdx, rdx
    jns     .print
    lea     rsi, [minus_infinite]
.print:
    call    fprintf
    add     rsp, 8
    ret
.end:

    section .rodata

as_is:          db "%c", 0
quoted:         db "\%c", 0
control:        db "\u%04x", 0
upper:          db "\udc%02x", 0
finite:         db "%.9g", 0
not_a_number:   db '"nan"', 0
infinite:       db '"inf"', 0
minus_infinite: db '"-inf"', 0

    section .note.GNU-stack noalloc noexec nowrite progbits
