; Which implementation of each kernel runs.
;
; The pass calls through these pointers. Every implementation takes the same arguments.

    default rel
    section .data align=8

    extern  dense_sse2                          ; z = x W + b
    extern  dense_grad_weight_sse2              ; dW = x^T grad
    extern  dense_grad_bias_sse2                ; dbias = sum of grad
    extern  dense_grad_input_sse2               ; dx = grad W^T
    extern  sgd_sse2                            ; param -= rate * grad

    global  dense:data (dense.end - dense)
    global  dense_grad_weight:data (dense_grad_weight.end - dense_grad_weight)
    global  dense_grad_bias:data (dense_grad_bias.end - dense_grad_bias)
    global  dense_grad_input:data (dense_grad_input.end - dense_grad_input)
    global  sgd:data (sgd.end - sgd)
    global  kernels_name:data (kernels_name.end - kernels_name)

dense:              dq dense_sse2
.end:
dense_grad_weight:  dq dense_grad_weight_sse2
.end:
dense_grad_bias:    dq dense_grad_bias_sse2
.end:
dense_grad_input:   dq dense_grad_input_sse2
.end:
sgd:                dq sgd_sse2
.end:
kernels_name:       dq sse2_name                ; const char *, for the settings
.end:

    section .rodata

sse2_name:          db "SSE2", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
