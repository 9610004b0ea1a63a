; dbias[o] = sum over the batch of grad[n][o], float32, AVX-512.
;
; 64 columns at a time, down the batch: four sums that do not wait for each other. Then 16 at
; a time, the last of them under a mask.

%include "network.inc"

    default rel
    section .text

    global  dense_grad_bias_avx512:function (dense_grad_bias_avx512.end - dense_grad_bias_avx512)

;   void dense_grad_bias_avx512(const float *grad, float *dbias, int64_t rows, int64_t outputs)
;   rdi = grad     [rows x outputs]  row stride outputs floats
;   rsi = dbias    [outputs]
;   rdx = rows     > 0
;   rcx = outputs  >= 0
;   clobbers rax, rcx, rdi, rsi, r8, r9, zmm0-3, k1
%define grad        rdi                         ; the column in row 0
%define dbias       rsi
%define rows        rdx
%define outputs     rcx                         ; columns still to do
%define stride      r8                          ; bytes from row to row
%define grad_n      r9                          ; the column in row n
%define n           rax                         ; rows still to add
%define inside      k1                          ; lanes that are columns

dense_grad_bias_avx512:
    lea     stride, [outputs * F32]

.wide:                                          ; 64 columns
    cmp     outputs, 64
    jl      .narrow
    mov     grad_n, grad
    vpxord  zmm0, zmm0, zmm0
    vpxord  zmm1, zmm1, zmm1
    vpxord  zmm2, zmm2, zmm2
    vpxord  zmm3, zmm3, zmm3
    mov     n, rows
.wide_n:
    vaddps  zmm0, zmm0, [grad_n]
    vaddps  zmm1, zmm1, [grad_n + 64]
    vaddps  zmm2, zmm2, [grad_n + 128]
    vaddps  zmm3, zmm3, [grad_n + 192]
    add     grad_n, stride
    dec     n
    jnz     .wide_n
    vmovups [dbias], zmm0
    vmovups [dbias + 64], zmm1
    vmovups [dbias + 128], zmm2
    vmovups [dbias + 192], zmm3
    add     grad, 64 * F32
    add     dbias, 64 * F32
    sub     outputs, 64
    jmp     .wide

.narrow:                                        ; 16 columns or what is left
    test    outputs, outputs
    jle     .done
    mov     eax, -1
    cmp     outputs, 16
    jge     .inside
    bzhi    eax, eax, ecx                       ; as many ones as columns
.inside:
    kmovw   inside, eax
    mov     grad_n, grad
    vpxord  zmm0, zmm0, zmm0
    mov     n, rows
.narrow_n:
    vaddps  zmm0{inside}, zmm0, [grad_n]
    add     grad_n, stride
    dec     n
    jnz     .narrow_n
    vmovups [dbias]{inside}, zmm0
    add     grad, 16 * F32
    add     dbias, 16 * F32
    sub     outputs, 16
    jmp     .narrow

.done:
    vzeroupper
    ret
.end:

%undef grad
%undef dbias
%undef rows
%undef outputs
%undef stride
%undef grad_n
%undef n
%undef inside

    section .note.GNU-stack noalloc noexec nowrite progbits
