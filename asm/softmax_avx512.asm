; p[c] = exp(z[c] - max) / (exp(z[0] - max) + ... ), row by row, float32, AVX-512.
;
; Taking the largest z off changes nothing on paper and keeps every exp in 0..1: without it
; one z above 88 makes the sum infinite and the row NaN.

%include "network.inc"

    default rel
    section .text

    extern  exp_row_avx512                      ; exp_row_avx512.asm

    global  softmax_avx512:function (softmax_avx512.end - softmax_avx512)

;   void softmax_avx512(const float *z, float *p, int64_t rows, int64_t classes)
;   rdi = z        [rows x classes]
;   rsi = p        [rows x classes]
;   rdx = rows     >= 0
;   rcx = classes  > 0
;   clobbers what a call may
%define z_row       rbx
%define p_row       rbp
%define rows        r12                         ; rows still to do
%define classes     r13
%define left        rcx                         ; classes still to divide
%define sum         zmm0                        ; in all lanes
%define value       zmm1
%define inside      k1                          ; lanes that are classes

softmax_avx512:
    push    rbx
    push    rbp
    push    r12
    push    r13
    sub     rsp, 8                              ; 8 + 4 * 8 + 8: calls are 16-byte aligned
    mov     z_row, rdi
    mov     p_row, rsi
    mov     rows, rdx
    mov     classes, rcx

.row:
    test    rows, rows
    jz      .done
    mov     rdi, z_row
    mov     rsi, p_row
    mov     rdx, classes
    call    exp_row_avx512
    vbroadcastss sum, xmm0
    mov     left, classes
.divide:                                        ; 16 classes or what is left
    mov     eax, -1
    cmp     left, 16
    jge     .inside
    bzhi    eax, eax, ecx                       ; as many ones as classes
.inside:
    kmovw   inside, eax
    vmovups value{inside}{z}, [p_row]
    vdivps  value, value, sum
    vmovups [p_row]{inside}, value
    lea     p_row, [p_row + 16 * F32]
    sub     left, 16
    jg      .divide
    lea     p_row, [p_row + left * F32]         ; left is minus the lanes behind the end
    lea     z_row, [z_row + classes * F32]
    dec     rows
    jmp     .row

.done:
    add     rsp, 8
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    vzeroupper
    ret
.end:

%undef z_row
%undef p_row
%undef rows
%undef classes
%undef left
%undef sum
%undef value
%undef inside

    section .note.GNU-stack noalloc noexec nowrite progbits
