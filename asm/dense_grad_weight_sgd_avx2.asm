; W = W - rate x^T grad where most of x is zero, float32, AVX2 and FMA: the gradient of a layer's
; weights and their update in one, and the gradient itself is never stored.
;
; Row i of the gradient is the sum of the rows grad[n] times x[n][i]. A sample with
; x[n][i] = 0 adds nothing, so only the others are visited: for each input a mask of 64
; samples, its lowest bit the next one. The masks are made for 8 inputs at a time, sample by
; sample: one comparison, and a bit for those lanes that are not zero. 64 outputs, half a row
; of the first layer, are summed in 8 registers; outputs that do not fill them go one by one.
; An input that is zero in every sample, as the borders of the images are, leaves its row of
; W as it was.

%include "network.inc"

LANES           equ 8                           ; inputs whose masks are made together
VECTOR          equ LANES * F32                 ; bytes
PANEL           equ 64 * F32                    ; bytes of a row that are summed at a time
WORD_SAMPLES    equ 32                          ; one bit each in a lane of 32 bits
BLOCK           equ 2 * WORD_SAMPLES            ; samples of a mask
BLOCK_BYTES     equ 2 * VECTOR                  ; the lower halves of 8 masks, then the upper

    default rel
    section .text

    global  dense_grad_weight_sgd_avx2:function \
            (dense_grad_weight_sgd_avx2.end - dense_grad_weight_sgd_avx2)

;   void dense_grad_weight_sgd_avx2(const float *x, const float *grad, float *W,
;                                   int64_t rows, int64_t inputs, int64_t outputs,
;                                   float rate)
;   rdi  = x        [rows x inputs]     row stride inputs floats
;   rsi  = grad     [rows x outputs]    row stride outputs floats
;   rdx  = W        [inputs x outputs]  row stride outputs floats, read and written
;   rcx  = rows     > 0; 1 byte of stack for each
;   r8   = inputs   >= 0
;   r9   = outputs  >= 0
;   xmm0 = rate     the learning rate
;   clobbers rax, rcx, rdx, rdi, r8, r9, r10, r11, ymm0-11
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
%define rate        ymm8
%define x_ni        ymm9                        ; x[n][i] in all lanes
%define zero        ymm9                        ; while the masks are made: 0,
%define bit         ymm10                       ;   this sample's bit,
%define made        ymm11                       ;   the lower or upper halves of the masks,
%define is_nonzero  ymm0
%define inside      ymm1                        ;   all ones in inputs that exist
%define old_rsp     qword [rsp]
%define rows        qword [rsp + 8]
%define masks_end   qword [rsp + 16]
%define group       qword [rsp + 24]            ; inputs in this group
%define FRAME       CACHE_LINE
%define masks       rsp + FRAME                 ; [blocks][2][LANES] of 32 bits

dense_grad_weight_sgd_avx2:
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
    shl     rax, 6                              ; bytes of masks
    lea     n, [rax + FRAME]
    sub     rsp, n
    and     rsp, -CACHE_LINE
    mov     old_rsp, t
    mov     rows, rcx
    lea     t, [masks + rax]
    mov     masks_end, t

.group:                                         ; 8 inputs or what is left
    test    inputs, inputs
    jle     .done
    mov     eax, LANES
    cmp     inputs, rax
    cmovl   rax, inputs
    mov     group, rax
    neg     rax
    lea     t, [inside_then_outside + VECTOR]
    vmovups inside, [t + rax * F32]             ; as many ones as inputs, then zeros
    vxorps  zero, zero, zero
    lea     mask, [masks]
    mov     x_i, x
    mov     n, rows
.word:                                          ; 32 samples or what is left, maybe none
    vxorps  made, made, made
    mov     eax, 1
    vmovd   xmm10, eax
    vpbroadcastd bit, xmm10
    mov     eax, WORD_SAMPLES
    cmp     n, rax
    cmovl   rax, n
    sub     n, rax
    test    rax, rax
    jz      .word_made
.word_n:
    vmaskmovps is_nonzero, inside, [x_i]        ; 0 outside
    vcmpneqps is_nonzero, zero, is_nonzero      ; also NaN: only zeros may be left out
    vandps  is_nonzero, is_nonzero, bit
    vorps   made, made, is_nonzero
    vpslld  bit, bit, 1
    add     x_i, x_stride
    dec     rax
    jnz     .word_n
.word_made:
    vmovaps [mask], made
    add     mask, VECTOR
    cmp     mask, masks_end
    jb      .word

    xor     i, i
.input:
    xor     column, column
.panel:                                         ; 64 outputs
    lea     t, [column + PANEL]
    cmp     t, stride
    jg      .tail
    vxorps  ymm0, ymm0, ymm0
    vxorps  ymm1, ymm1, ymm1
    vxorps  ymm2, ymm2, ymm2
    vxorps  ymm3, ymm3, ymm3
    vxorps  ymm4, ymm4, ymm4
    vxorps  ymm5, ymm5, ymm5
    vxorps  ymm6, ymm6, ymm6
    vxorps  ymm7, ymm7, ymm7
    xor     any, any
    lea     mask, [masks + i * 4]
    lea     x_i, [x + i * F32]
    lea     grad_n, [grad + column]
.panel_block:
    mov     ebp, [mask + VECTOR]
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
    vfmadd231ps ymm0, x_ni, [n]
    vfmadd231ps ymm1, x_ni, [n + 32]
    vfmadd231ps ymm2, x_ni, [n + 64]
    vfmadd231ps ymm3, x_ni, [n + 96]
    vfmadd231ps ymm4, x_ni, [n + 128]
    vfmadd231ps ymm5, x_ni, [n + 160]
    vfmadd231ps ymm6, x_ni, [n + 192]
    vfmadd231ps ymm7, x_ni, [n + 224]
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
    vfnmadd213ps ymm0, rate, [t]                ; W - rate * sum
    vfnmadd213ps ymm1, rate, [t + 32]
    vfnmadd213ps ymm2, rate, [t + 64]
    vfnmadd213ps ymm3, rate, [t + 96]
    vfnmadd213ps ymm4, rate, [t + 128]
    vfnmadd213ps ymm5, rate, [t + 160]
    vfnmadd213ps ymm6, rate, [t + 192]
    vfnmadd213ps ymm7, rate, [t + 224]
    vmovups [t], ymm0
    vmovups [t + 32], ymm1
    vmovups [t + 64], ymm2
    vmovups [t + 96], ymm3
    vmovups [t + 128], ymm4
    vmovups [t + 160], ymm5
    vmovups [t + 192], ymm6
    vmovups [t + 224], ymm7
.panel_done:
    add     column, PANEL
    jmp     .panel

.tail:                                          ; 1 output
    cmp     column, stride
    jge     .next_input
    vxorps  xmm0, xmm0, xmm0
    xor     any, any
    lea     mask, [masks + i * 4]
    lea     x_i, [x + i * F32]
    lea     grad_n, [grad + column]
.tail_block:
    mov     ebp, [mask + VECTOR]
    shl     t, WORD_SAMPLES
    mov     eax, [mask]
    or      bits, t
    jz      .tail_next
    mov     any, bits
.tail_n:
    tzcnt   n, bits
    mov     t, n
    imul    t, x_stride
    imul    n, stride
    vmovss  xmm9, [x_i + t]
    vfmadd231ss xmm0, xmm9, [grad_n + n]
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
    vfnmadd213ss xmm0, xmm8, [W + column]       ; W - rate * sum
    vmovss  [W + column], xmm0
.tail_done:
    add     column, F32
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
%undef zero
%undef bit
%undef made
%undef is_nonzero
%undef inside
%undef old_rsp
%undef rows
%undef masks_end
%undef group
%undef FRAME
%undef masks

    section .rodata align=32

inside_then_outside:
                times LANES dd -1
                times LANES dd 0

    section .note.GNU-stack noalloc noexec nowrite progbits
