; W = W - rate x^T grad where most of x is zero, float32, AVX-512: the gradient of a layer's
; weights and their update in one, and the gradient itself is never stored.
;
; Row i of the gradient is the sum of the rows grad[n] times x[n][i]. A sample with
; x[n][i] = 0 adds nothing, so only the others are visited: for each input a mask of 64
; samples, its lowest bit the next one. The masks are made for 16 inputs at a time, sample by
; sample: one comparison, and a bit for those lanes that are not zero. 128 outputs, a row of
; the first layer, are summed in 8 registers. An input that is zero in every sample, as the
; borders of the images are, leaves its row of W as it was.

%include "network.inc"

LANES           equ 16                          ; inputs whose masks are made together
PANEL           equ 128 * F32                   ; bytes of a row that are summed at a time
WORD_SAMPLES    equ 32                          ; one bit each in a lane of 32 bits
BLOCK           equ 2 * WORD_SAMPLES            ; samples of a mask
BLOCK_BYTES     equ 2 * LANES * 4               ; the lower halves of 16 masks, then the upper

    default rel
    section .text

    global  dense_grad_weight_sgd_avx512:function \
            (dense_grad_weight_sgd_avx512.end - dense_grad_weight_sgd_avx512)

;   void dense_grad_weight_sgd_avx512(const float *x, const float *grad, float *W,
;                                     int64_t rows, int64_t inputs, int64_t outputs,
;                                     float rate)
;   rdi  = x        [rows x inputs]     row stride inputs floats
;   rsi  = grad     [rows x outputs]    row stride outputs floats
;   rdx  = W        [inputs x outputs]  row stride outputs floats, read and written
;   rcx  = rows     > 0; 2 bytes of stack for each
;   r8   = inputs   >= 0
;   r9   = outputs  >= 0
;   xmm0 = rate     the learning rate
;   clobbers rax, rcx, rdx, rdi, r8, r9, r10, r11, zmm0-11, k1, k2
%define x           rdi                         ; &x[0][group's first input]
%define grad        rsi
%define W           rdx                         ; the input's row
%define inputs      r8                          ; inputs still to do
%define stride      r10                         ; bytes from row to row, of grad and W
%define x_stride    r11                         ; bytes from sample to sample
%define bits        rax                         ; samples still to add
%define column      rbx                         ; bytes
%define i           r12                         ; input of the group
%define mask        r13                         ; of this input and block of samples
%define x_i         r14                         ; &x[block's first sample][i]
%define grad_n      r15                         ; &grad[block's first sample][column]
%define t           rbp
%define n           r9
%define any         rcx                         ; not 0: a sample has been added
%define rate        zmm8
%define x_ni        zmm9                        ; x[n][i] in all lanes
%define g           zmm10
%define zero        zmm9                        ; while the masks are made: 0,
%define bit         zmm10                       ;   this sample's bit,
%define made        zmm11                       ;   the lower or upper halves of 16 masks
%define inside      k1                          ; inputs of the group, or columns, that exist
%define is_nonzero  k2
%define old_rsp     qword [rsp]
%define rows        qword [rsp + 8]
%define masks_end   qword [rsp + 16]
%define group       qword [rsp + 24]            ; inputs in this group
%define FRAME       CACHE_LINE
%define masks       rsp + FRAME                 ; [blocks][2][LANES] of 32 bits

dense_grad_weight_sgd_avx512:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    lea     stride, [r9 * F32]
    lea     x_stride, [inputs * F32]
    vbroadcastss rate, xmm0

    mov     t, rsp
    lea     rax, [rcx + BLOCK - 1]
    shr     rax, 6                              ; blocks
    shl     rax, 7                              ; bytes of masks
    lea     n, [rax + FRAME]
    sub     rsp, n
    and     rsp, -CACHE_LINE
    mov     old_rsp, t
    mov     rows, rcx
    lea     t, [masks + rax]
    mov     masks_end, t

.group:                                         ; 16 inputs or what is left
    test    inputs, inputs
    jle     .done
    mov     eax, LANES
    cmp     inputs, rax
    cmovl   rax, inputs
    mov     group, rax
    mov     t, -1
    bzhi    t, t, rax                           ; as many ones as inputs
    kmovw   inside, ebp
    vpxord  zero, zero, zero
    lea     mask, [masks]
    mov     x_i, x
    mov     n, rows
.word:                                          ; 32 samples or what is left, maybe none
    vpxord  made, made, made
    mov     eax, 1
    vpbroadcastd bit, eax
    mov     eax, WORD_SAMPLES
    cmp     n, rax
    cmovl   rax, n
    sub     n, rax
    test    rax, rax
    jz      .word_made
.word_n:
    vcmpneqps is_nonzero{inside}, zero, [x_i]   ; also NaN: only zeros may be left out
    vpord   made{is_nonzero}, made, bit
    vpslld  bit, bit, 1
    add     x_i, x_stride
    dec     rax
    jnz     .word_n
.word_made:
    vmovdqa32 [mask], made
    add     mask, LANES * 4
    cmp     mask, masks_end
    jb      .word

    xor     i, i
.input:
    xor     column, column
.panel:                                         ; 128 outputs
    lea     t, [column + PANEL]
    cmp     t, stride
    jg      .tail
    vpxord  zmm0, zmm0, zmm0
    vpxord  zmm1, zmm1, zmm1
    vpxord  zmm2, zmm2, zmm2
    vpxord  zmm3, zmm3, zmm3
    vpxord  zmm4, zmm4, zmm4
    vpxord  zmm5, zmm5, zmm5
    vpxord  zmm6, zmm6, zmm6
    vpxord  zmm7, zmm7, zmm7
    xor     any, any
    lea     mask, [masks + i * 4]
    lea     x_i, [x + i * F32]
    lea     grad_n, [grad + column]
.panel_block:
    mov     ebp, [mask + LANES * 4]
    shl     t, WORD_SAMPLES
    mov     eax, [mask]
    or      bits, t
    jz      .panel_next
    mov     any, bits
.panel_n:
    tzcnt   n, bits
    mov     t, n
    imul    t, x_stride
    vbroadcastss x_ni, [x_i + t]
    imul    n, stride
    add     n, grad_n
    vfmadd231ps zmm0, x_ni, [n]
    vfmadd231ps zmm1, x_ni, [n + 64]
    vfmadd231ps zmm2, x_ni, [n + 128]
    vfmadd231ps zmm3, x_ni, [n + 192]
    vfmadd231ps zmm4, x_ni, [n + 256]
    vfmadd231ps zmm5, x_ni, [n + 320]
    vfmadd231ps zmm6, x_ni, [n + 384]
    vfmadd231ps zmm7, x_ni, [n + 448]
    blsr    bits, bits                          ; without its lowest one
    jnz     .panel_n
.panel_next:
    mov     t, x_stride
    shl     t, 6                                ; BLOCK samples
    add     x_i, t
    mov     t, stride
    shl     t, 6
    add     grad_n, t
    add     mask, BLOCK_BYTES
    cmp     mask, masks_end
    jb      .panel_block
    test    any, any
    jz      .panel_done
    lea     t, [W + column]
    vfnmadd213ps zmm0, rate, [t]                ; W - rate * sum
    vfnmadd213ps zmm1, rate, [t + 64]
    vfnmadd213ps zmm2, rate, [t + 128]
    vfnmadd213ps zmm3, rate, [t + 192]
    vfnmadd213ps zmm4, rate, [t + 256]
    vfnmadd213ps zmm5, rate, [t + 320]
    vfnmadd213ps zmm6, rate, [t + 384]
    vfnmadd213ps zmm7, rate, [t + 448]
    vmovups [t], zmm0
    vmovups [t + 64], zmm1
    vmovups [t + 128], zmm2
    vmovups [t + 192], zmm3
    vmovups [t + 256], zmm4
    vmovups [t + 320], zmm5
    vmovups [t + 384], zmm6
    vmovups [t + 448], zmm7
.panel_done:
    add     column, PANEL
    jmp     .panel

.tail:                                          ; 16 outputs or what is left
    mov     rax, stride
    sub     rax, column
    jle     .next_input
    shr     rax, 2
    mov     t, -1
    cmp     rax, LANES
    jge     .tail_inside
    bzhi    t, t, rax                           ; as many ones as columns
.tail_inside:
    kmovw   inside, ebp
    vpxord  zmm0, zmm0, zmm0
    xor     any, any
    lea     mask, [masks + i * 4]
    lea     x_i, [x + i * F32]
    lea     grad_n, [grad + column]
.tail_block:
    mov     ebp, [mask + LANES * 4]
    shl     t, WORD_SAMPLES
    mov     eax, [mask]
    or      bits, t
    jz      .tail_next
    mov     any, bits
.tail_n:
    tzcnt   n, bits
    mov     t, n
    imul    t, x_stride
    vbroadcastss x_ni, [x_i + t]
    imul    n, stride
    vmovups g{inside}{z}, [grad_n + n]
    vfmadd231ps zmm0, x_ni, g
    blsr    bits, bits                          ; without its lowest one
    jnz     .tail_n
.tail_next:
    mov     t, x_stride
    shl     t, 6                                ; BLOCK samples
    add     x_i, t
    mov     t, stride
    shl     t, 6
    add     grad_n, t
    add     mask, BLOCK_BYTES
    cmp     mask, masks_end
    jb      .tail_block
    test    any, any
    jz      .tail_done
    vmovups g{inside}{z}, [W + column]
    vfnmadd213ps zmm0, rate, g                  ; W - rate * sum
    vmovups [W + column]{inside}, zmm0
.tail_done:
    add     column, LANES * F32
    jmp     .tail

.next_input:
    add     W, stride
    inc     i
    cmp     i, group
    jl      .input
    add     x, LANES * F32
    sub     inputs, LANES
    jmp     .group

.done:
    mov     rsp, old_rsp
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    vzeroupper
    ret
.end:

%undef x
%undef grad
%undef W
%undef inputs
%undef stride
%undef x_stride
%undef bits
%undef column
%undef i
%undef mask
%undef x_i
%undef grad_n
%undef t
%undef n
%undef any
%undef rate
%undef x_ni
%undef g
%undef zero
%undef bit
%undef made
%undef inside
%undef is_nonzero
%undef old_rsp
%undef rows
%undef masks_end
%undef group
%undef FRAME
%undef masks

    section .note.GNU-stack noalloc noexec nowrite progbits
