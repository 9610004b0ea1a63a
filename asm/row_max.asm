; The largest number of a row, and where it is.

%include "network.inc"

    default rel
    section .text

    global  row_max:function (row_max.end - row_max)
    global  row_argmax:function (row_argmax.end - row_argmax)

;   float row_max(const float *row, int64_t count)
;   rdi = row    [count]
;   rsi = count  > 0
;   returns the largest in xmm0
;   clobbers rsi, xmm0
%define row         rdi
%define count       rsi
%define largest     xmm0

row_max:
    movss   largest, [row + count * F32 - F32]
.loop:
    dec     count
    jz      .done
    maxss   largest, [row + count * F32 - F32]
    jmp     .loop
.done:
    ret
.end:

%undef row
%undef count
%undef largest

;   int64_t row_argmax(const float *row, int64_t count)
;   rdi = row    [count]
;   rsi = count  > 0
;   returns the index of the largest in rax, the first one of equals
;   clobbers rax, rcx, xmm0
%define row         rdi
%define count       rsi
%define best        rax                         ; its index
%define i           rcx
%define largest     xmm0

row_argmax:
    xor     best, best
    movss   largest, [row]
    mov     i, 1
.loop:
    cmp     i, count
    jge     .done
    comiss  largest, [row + i * F32]
    jae     .next
    movss   largest, [row + i * F32]
    mov     best, i
.next:
    inc     i
    jmp     .loop
.done:
    ret
.end:

%undef row
%undef count
%undef best
%undef i
%undef largest

    section .note.GNU-stack noalloc noexec nowrite progbits
