; A network that learns sample by sample: 16 -> 12 -> 8 -> 4, ReLU, softmax, cross-entropy.
;
; It is what one writes first: plain loops, scalar floats, no probes, symbols without sizes. Weights
; are stored [out x in]. The gradients of eight samples add up in dW and db before the weights move.
; layer_forward is called once for each layer, and softmax works in place on the last layer's z.
;
;   nasm -f elf64 -g -F dwarf online.asm && gcc -no-pie -o online online.o -lm

    default rel

INPUTS      equ 16
H1          equ 12
H2          equ 8
CLASSES     equ 4
SAMPLES     equ 256
BATCH       equ 8
EPOCHS      equ 20

    extern  expf
    extern  logf
    extern  printf

    section .bss

    global  x, target, W1, b1, a1, W2, b2, a2, W3, b3, a3
    global  dW1, db1, d1, dW2, db2, d2, dW3, db3, d3

    alignb 16
x:          resd INPUTS
target:     resd 1
W1:         resd H1 * INPUTS
b1:         resd H1
a1:         resd H1
W2:         resd H2 * H1
b2:         resd H2
a2:         resd H2
W3:         resd CLASSES * H2
b3:         resd CLASSES
a3:         resd CLASSES

d1:         resd H1
d2:         resd H2
d3:         resd CLASSES
dW1:        resd H1 * INPUTS
db1:        resd H1
dW2:        resd H2 * H1
db2:        resd H2
dW3:        resd CLASSES * H2
db3:        resd CLASSES

state:      resq 1
loss:       resd 1

    section .data

    global  rate
rate:       dd 0.05
one:        dd 1.0
half:       dd 0.5
to_unit:    dd 0x1p-24
says:       db "epoch %d: mean loss %.4f", 10, 0

    section .text

    global  main
main:
    push    rbx
    push    rbp
    push    r12
    call    initialise
    xor     ebx, ebx                            ; epoch
.epoch:
    mov     qword [state], 12345                ; the same samples in every epoch
    mov     dword [loss], 0
    xor     ebp, ebp                            ; sample
.sample:
    call    draw_sample
    call    train_sample
    inc     ebp
    test    ebp, BATCH - 1
    jnz     .next
    call    update
.next:
    cmp     ebp, SAMPLES
    jl      .sample

    movss   xmm0, [loss]
    mov     eax, SAMPLES
    cvtsi2ss xmm1, eax
    divss   xmm0, xmm1
    cvtss2sd xmm0, xmm0
    lea     rdi, [says]
    mov     esi, ebx
    mov     eax, 1
    call    printf
    inc     ebx
    cmp     ebx, EPOCHS
    jl      .epoch

    xor     eax, eax
    pop     r12
    pop     rbp
    pop     rbx
    ret

; One sample: forward, softmax, and its share of the gradients.
train_sample:
    push    rbx
    lea     rdi, [x]
    lea     rsi, [W1]
    lea     rdx, [b1]
    lea     rcx, [a1]
    mov     r8d, INPUTS
    mov     r9d, H1
    call    layer_forward
    lea     rdi, [a1]
    mov     esi, H1
    call    relu

    lea     rdi, [a1]
    lea     rsi, [W2]
    lea     rdx, [b2]
    lea     rcx, [a2]
    mov     r8d, H1
    mov     r9d, H2
    call    layer_forward
    lea     rdi, [a2]
    mov     esi, H2
    call    relu

    lea     rdi, [a2]
    lea     rsi, [W3]
    lea     rdx, [b3]
    lea     rcx, [a3]
    mov     r8d, H2
    mov     r9d, CLASSES
    call    layer_forward
    lea     rdi, [a3]
    mov     esi, CLASSES
    call    softmax
    call    add_loss

    call    output_error
    lea     rdi, [d3]
    lea     rsi, [a2]
    lea     rdx, [dW3]
    mov     ecx, CLASSES
    mov     r8d, H2
    call    add_outer
    lea     rdi, [d3]
    lea     rsi, [db3]
    mov     edx, CLASSES
    call    add_to

    lea     rdi, [d3]
    lea     rsi, [W3]
    lea     rdx, [a2]
    lea     rcx, [d2]
    mov     r8d, CLASSES
    mov     r9d, H2
    call    layer_backward
    lea     rdi, [d2]
    lea     rsi, [a1]
    lea     rdx, [dW2]
    mov     ecx, H2
    mov     r8d, H1
    call    add_outer
    lea     rdi, [d2]
    lea     rsi, [db2]
    mov     edx, H2
    call    add_to

    lea     rdi, [d2]
    lea     rsi, [W2]
    lea     rdx, [a1]
    lea     rcx, [d1]
    mov     r8d, H2
    mov     r9d, H1
    call    layer_backward
    lea     rdi, [d1]
    lea     rsi, [x]
    lea     rdx, [dW1]
    mov     ecx, H1
    mov     r8d, INPUTS
    call    add_outer
    lea     rdi, [d1]
    lea     rsi, [db1]
    mov     edx, H1
    call    add_to
    pop     rbx
    ret

; out[o] = b[o] + sum of W[o][i] * in[i].
;   void layer_forward(const float *in, const float *W, const float *b, float *out, int n, int m)
;   rdi = in [n]   rsi = W [m x n]   rdx = b [m]   rcx = out [m]   r8d = n > 0   r9d = m > 0
layer_forward:
.output:
    movss   xmm0, [rdx]
    xor     eax, eax
.input:
    movss   xmm1, [rdi + rax * 4]
    mulss   xmm1, [rsi + rax * 4]
    addss   xmm0, xmm1
    inc     eax
    cmp     eax, r8d
    jl      .input
    movss   [rcx], xmm0
    lea     rsi, [rsi + r8 * 4]
    add     rdx, 4
    add     rcx, 4
    dec     r9d
    jnz     .output
    ret

; v[i] = max(v[i], 0), in place.
;   void relu(float *v, int n)
relu:
    xorps   xmm0, xmm0
.element:
    movss   xmm1, [rdi]
    maxss   xmm1, xmm0
    movss   [rdi], xmm1
    add     rdi, 4
    dec     esi
    jnz     .element
    ret

; v[i] = exp(v[i] - max) / sum of them, in place.
;   void softmax(float *v, int n)
softmax:
    push    rbx
    push    rbp
    push    r12
    sub     rsp, 16                             ; [rsp]: the largest, [rsp + 4]: the sum
    mov     rbx, rdi
    mov     ebp, esi
    movss   xmm0, [rbx]
    mov     r12d, 1
.largest:
    maxss   xmm0, [rbx + r12 * 4]
    inc     r12d
    cmp     r12d, ebp
    jl      .largest
    movss   [rsp], xmm0
    mov     dword [rsp + 4], 0
    xor     r12d, r12d
.exponential:
    movss   xmm0, [rbx + r12 * 4]
    subss   xmm0, [rsp]
    call    expf
    movss   [rbx + r12 * 4], xmm0
    addss   xmm0, [rsp + 4]
    movss   [rsp + 4], xmm0
    inc     r12d
    cmp     r12d, ebp
    jl      .exponential
    xor     r12d, r12d
.share:
    movss   xmm0, [rbx + r12 * 4]
    divss   xmm0, [rsp + 4]
    movss   [rbx + r12 * 4], xmm0
    inc     r12d
    cmp     r12d, ebp
    jl      .share
    add     rsp, 16
    pop     r12
    pop     rbp
    pop     rbx
    ret

; loss += -log(a3[target])
add_loss:
    sub     rsp, 8
    mov     eax, [target]
    lea     rdi, [a3]
    movss   xmm0, [rdi + rax * 4]
    call    logf
    movss   xmm1, [loss]
    subss   xmm1, xmm0
    movss   [loss], xmm1
    add     rsp, 8
    ret

; d3 = a3 - onehot(target)
output_error:
    xor     eax, eax
    lea     rdi, [a3]
    lea     rsi, [d3]
.class:
    movss   xmm0, [rdi + rax * 4]
    cmp     eax, [target]
    jne     .other
    subss   xmm0, [one]
.other:
    movss   [rsi + rax * 4], xmm0
    inc     eax
    cmp     eax, CLASSES
    jl      .class
    ret

; dW[o][i] += d[o] * in[i].
;   void add_outer(const float *d, const float *in, float *dW, int m, int n)
;   rdi = d [m]   rsi = in [n]   rdx = dW [m x n]   ecx = m > 0   r8d = n > 0
add_outer:
.row:
    movss   xmm0, [rdi]
    xor     eax, eax
.column:
    movss   xmm1, [rsi + rax * 4]
    mulss   xmm1, xmm0
    addss   xmm1, [rdx + rax * 4]
    movss   [rdx + rax * 4], xmm1
    inc     eax
    cmp     eax, r8d
    jl      .column
    lea     rdx, [rdx + r8 * 4]
    add     rdi, 4
    dec     ecx
    jnz     .row
    ret

; sum[i] += v[i]
;   void add_to(const float *v, float *sum, int n)
add_to:
.element:
    movss   xmm0, [rdi]
    addss   xmm0, [rsi]
    movss   [rsi], xmm0
    add     rdi, 4
    add     rsi, 4
    dec     edx
    jnz     .element
    ret

; out[i] = sum of W[o][i] * d[o], where a[i] > 0; else 0.
;   void layer_backward(const float *d, const float *W, const float *a, float *out, int m, int n)
;   rdi = d [m]   rsi = W [m x n]   rdx = a [n]   rcx = out [n]   r8d = m > 0   r9d = n > 0
layer_backward:
    push    rbx
    xor     eax, eax
.input:
    xorps   xmm0, xmm0
    xorps   xmm2, xmm2
    comiss  xmm2, [rdx + rax * 4]
    jae     .store                              ; the ReLU let nothing through
    lea     r10, [rsi + rax * 4]
    xor     ebx, ebx
.output:
    movss   xmm1, [rdi + rbx * 4]
    mulss   xmm1, [r10]
    addss   xmm0, xmm1
    lea     r10, [r10 + r9 * 4]
    inc     ebx
    cmp     ebx, r8d
    jl      .output
.store:
    movss   [rcx + rax * 4], xmm0
    inc     eax
    cmp     eax, r9d
    jl      .input
    pop     rbx
    ret

; W -= rate * dW and dW = 0, for all weights and biases.
update:
    lea     rdi, [W1]
    lea     rsi, [dW1]
    mov     edx, H1 * INPUTS
    call    descend
    lea     rdi, [b1]
    lea     rsi, [db1]
    mov     edx, H1
    call    descend
    lea     rdi, [W2]
    lea     rsi, [dW2]
    mov     edx, H2 * H1
    call    descend
    lea     rdi, [b2]
    lea     rsi, [db2]
    mov     edx, H2
    call    descend
    lea     rdi, [W3]
    lea     rsi, [dW3]
    mov     edx, CLASSES * H2
    call    descend
    lea     rdi, [b3]
    lea     rsi, [db3]
    mov     edx, CLASSES
    call    descend
    ret

;   void descend(float *weights, float *gradient, int n)
descend:
.element:
    movss   xmm0, [rsi]
    mulss   xmm0, [rate]
    movss   xmm1, [rdi]
    subss   xmm1, xmm0
    movss   [rdi], xmm1
    mov     dword [rsi], 0
    add     rdi, 4
    add     rsi, 4
    dec     edx
    jnz     .element
    ret

; A sample: sixteen numbers in 0..1, one of four blocks of them brighter; target says which.
draw_sample:
    push    rbx
    call    draw
    mulss   xmm0, [four]
    cvttss2si eax, xmm0
    mov     [target], eax
    xor     ebx, ebx
.element:
    call    draw
    mulss   xmm0, [half]
    mov     eax, ebx
    shr     eax, 2
    cmp     eax, [target]
    jne     .dim
    addss   xmm0, [half]
.dim:
    lea     rdi, [x]
    movss   [rdi + rbx * 4], xmm0
    inc     ebx
    cmp     ebx, INPUTS
    jl      .element
    pop     rbx
    ret

; Weights in -0.5..0.5.
initialise:
    push    rbx
    mov     qword [state], 1
    lea     rbx, [W1]
    mov     edi, H1 * INPUTS
    call    .fill
    lea     rbx, [W2]
    mov     edi, H2 * H1
    call    .fill
    lea     rbx, [W3]
    mov     edi, CLASSES * H2
    call    .fill
    pop     rbx
    ret
.fill:
    call    draw
    subss   xmm0, [half]
    movss   [rbx], xmm0
    add     rbx, 4
    dec     edi
    jnz     .fill
    ret

; A number in 0..1 in xmm0, by Knuth's MMIX linear congruential generator; clobbers rax, rdx.
draw:
    mov     rax, 6364136223846793005
    imul    rax, [state]
    mov     rdx, 1442695040888963407
    add     rax, rdx
    mov     [state], rax
    shr     rax, 40                             ; its 24 best bits
    cvtsi2ss xmm0, rax
    mulss   xmm0, [to_unit]
    ret

    section .rodata
four:       dd 4.0

    section .note.GNU-stack noalloc noexec nowrite progbits
