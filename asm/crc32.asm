; CRC-32: the remainder of the bytes, read as one long polynomial over {0, 1}, by
; x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1.
;
; The CRC of Ethernet (IEEE 802.3), gzip and zlib: the lowest bit comes first, the remainder
; begins as all ones and is inverted in the end.

    default rel
    section .text

    global  crc32:function (crc32.end - crc32)

POLYNOMIAL      equ 0xedb88320                  ; bit 31 is x^0, bit 0 is x^31; x^32 falls out

;   uint32_t crc32(const uint8_t *bytes, uint64_t size)
;   rdi = bytes  [size]
;   rsi = size
;   returns the checksum in eax
;   clobbers rcx, rdx, rdi, rsi
%define bytes       rdi                         ; the next byte
%define size        rsi                         ; bytes still to do
%define remainder   eax
%define bit         ecx                         ; bits of the byte still to do
%define divisor     edx                         ; the polynomial where the lowest bit is set, or 0

crc32:
    mov     remainder, -1
.byte:
    sub     size, 1
    jc      .done
    movzx   edx, byte [bytes]
    xor     remainder, edx
    mov     bit, 8
.bit:
    mov     divisor, remainder
    and     divisor, 1
    neg     divisor
    and     divisor, POLYNOMIAL
    shr     remainder, 1
    xor     remainder, divisor
    dec     bit
    jnz     .bit
    inc     bytes
    jmp     .byte
.done:
    not     remainder
    ret
.end:

%undef bytes
%undef size
%undef remainder
%undef bit
%undef divisor

    section .note.GNU-stack noalloc noexec nowrite progbits
