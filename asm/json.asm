; JSON out of C strings and doubles: whatever they hold, what is written can be read again.

    default rel
    section .text

    extern  fprintf, fputc, fwrite

    global  json_text:function (json_text.end - json_text)
    global  utf8_length:function (utf8_length.end - utf8_length)
    global  json_number:function (json_number.end - json_number)

;   void json_text(FILE *out, const char *text)
;   rdi = out
;   rsi = text  any bytes
;   clobbers what a call may
;
; A character in UTF-8 is written as it is. A byte that belongs to none becomes \udc80 .. \udcff,
; as Python has it in file names (PEP 383): os.fsencode gives every one back.
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
    lea     rdi, [text - 1]
    call    utf8_length
    test    eax, eax
    jz      .no_character
    lea     rdi, [text - 1]
    lea     text, [text + rax - 1]
    mov     esi, 1
    mov     edx, eax
    mov     rcx, out
    call    fwrite
    jmp     .loop
.no_character:
    movzx   byte_here, byte [text - 1]
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

;   int utf8_length(const char *text)
;   rdi = text  the first of its bytes is above 127; ends with a zero byte
;   returns the bytes, 2..4, of the character that begins there in eax; 0 if none does
;   clobbers rcx, rdx, rsi, r8
;
; Source: RFC 3629, sections 3 and 4: no form longer than needed, no surrogate, none above
; U+10FFFF.
%define length      eax
%define code        ecx                         ; of the character
%define byte_here   edx
%define at          rsi                         ; of the byte
%define least       r8d                         ; code that needs so many bytes

utf8_length:
    movzx   code, byte [rdi]
    mov     length, 2
    mov     least, 0x80
    cmp     code, 0xc0
    jb      .none                               ; not the first byte of a character
    cmp     code, 0xe0
    jb      .two
    mov     length, 3
    mov     least, 0x800
    cmp     code, 0xf0
    jb      .three
    mov     length, 4
    mov     least, 0x10000
    cmp     code, 0xf8
    jae     .none
    and     code, 0x07
    jmp     .rest
.three:
    and     code, 0x0f
    jmp     .rest
.two:
    and     code, 0x1f

.rest:
    mov     at, 1
.byte:
    movzx   byte_here, byte [rdi + at]
    xor     byte_here, 0x80
    cmp     byte_here, 0x3f
    ja      .none                               ; not one that continues a character
    shl     code, 6
    or      code, byte_here
    inc     at
    cmp     esi, length
    jb      .byte

    cmp     code, least
    jb      .none
    cmp     code, 0x10ffff
    ja      .none
    and     code, 0xfffff800
    cmp     code, 0xd800
    je      .none
    ret
.none:
    xor     length, length
    ret
.end:

%undef length
%undef code
%undef byte_here
%undef at
%undef least

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
