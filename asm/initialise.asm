; What training begins with: the samples in the order of the file, and random weights,
;
;   W uniform in -limit .. limit,  b = 0
;   glorot: limit = sqrt(6 / (inputs + outputs))    he: limit = sqrt(6 / inputs)
;
; Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
; networks", AISTATS 2010, equation 16: signals and gradients keep their size from layer to
; layer. He et al., "Delving deep into rectifiers", ICCV 2015, equation 10: with ReLU, which
; silences half of a layer, the signals need twice the variance for that.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"
%include "update.inc"

    default rel
    section .text

    extern  order_in_file                       ; shuffle.asm
    extern  train_order
    extern  train_count                         ; dataset.asm
    extern  init_scheme                         ; options.asm
    extern  random_unit                         ; random.asm

    global  initialise:function (initialise.end - initialise)
    global  random_weights:function (random_weights.end - random_weights)

;   void initialise(void)
;   reads  init_scheme, weight_state, train_count
;   writes train_order; weight_state and W1, W2, W3, unless they were loaded
;   clobbers what a call may
;
; The biases begin at 0, which is what the loader puts into .bss.
initialise:
    sub     rsp, 8                              ; calls are 16-byte aligned
    PROBE   init

    mov     rdi, [train_order]
    mov     rsi, [train_count]
    call    order_in_file
    PROBE   init_order

    cmp     qword [init_scheme], INIT_LOADED
    je      .done
    lea     rdi, [W1]
    mov     esi, INPUTS
    mov     edx, HIDDEN1
    call    random_weights
    PROBE   init_W1

    lea     rdi, [W2]
    mov     esi, HIDDEN1
    mov     edx, HIDDEN2
    call    random_weights
    PROBE   init_W2

    lea     rdi, [W3]
    mov     esi, HIDDEN2
    mov     edx, CLASSES
    call    random_weights
    PROBE   init_W3

.done:
    add     rsp, 8
    ret
.end:

;   void random_weights(float *W, int64_t inputs, int64_t outputs)
;   rdi = W        [inputs x outputs]
;   rsi = inputs   > 0
;   rdx = outputs  > 0
;   reads init_scheme; reads and writes weight_state
;   clobbers what a call may
%define W           rbx                         ; the next weight
%define count       rbp                         ; weights still to do
%define limit       dword [rsp]

random_weights:
    push    rbx
    push    rbp
    sub     rsp, 8                              ; 8 + 2 * 8 + 8: calls are 16-byte aligned
    mov     W, rdi
    mov     count, rsi
    imul    count, rdx

    cmp     qword [init_scheme], INIT_HE
    je      .limit
    add     rsi, rdx
.limit:
    cvtsi2ss xmm1, rsi
    movss   xmm0, [six]
    divss   xmm0, xmm1
    sqrtss  xmm0, xmm0
    movss   limit, xmm0

.loop:
    lea     rdi, [weight_state]
    call    random_unit
    addss   xmm0, xmm0                          ; 0..1 to -1..1
    subss   xmm0, [one]
    mulss   xmm0, limit
    movss   [W], xmm0
    add     W, F32
    dec     count
    jnz     .loop

    add     rsp, 8
    pop     rbp
    pop     rbx
    ret
.end:

%undef W
%undef count
%undef limit

    section .rodata align=4

six:            dd 6.0
one:            dd 1.0

    section .note.GNU-stack noalloc noexec nowrite progbits
