; A batch: x[n] = image order[n] / 255 and y[n] = label order[n].
;
; Shuffled images lie anywhere in 47 MB, so each would be waited for; they are asked for some
; rows before their turn instead.

%include "network.inc"
%include "buffers.inc"
%include "probe.inc"

AHEAD           equ 8                           ; rows

    default rel
    section .text

    extern  train_images                        ; dataset.asm
    extern  train_labels
    extern  batch_order                         ; layers_buffer.asm
    extern  scale_pixels                        ; kernels.asm

    global  load_batch:function (load_batch.end - load_batch)
    global  gather_images:function (gather_images.end - gather_images)
    global  gather_labels:function (gather_labels.end - gather_labels)

;   void load_batch(void)
;   reads  batch_order, batch_rows, the training set
;   writes x, y
;   clobbers what a call may
load_batch:
    sub     rsp, 8                              ; calls are 16-byte aligned

    PROBE   enter_load_x
    mov     rdi, [train_images]
    mov     rsi, [batch_order]
    lea     rdx, [x]
    mov     rcx, [batch_rows]
    mov     r8d, INPUTS
    call    gather_images
    PROBE   load_x

    mov     rdi, [train_labels]
    mov     rsi, [batch_order]
    lea     rdx, [y]
    mov     rcx, [batch_rows]
    call    gather_labels
    PROBE   load_y

    add     rsp, 8
    ret
.end:

;   void gather_images(const uint8_t *images, const uint32_t *order, float *out,
;                      int64_t rows, int64_t pixels)
;   rdi = images  [samples x pixels]
;   rsi = order   [rows]  which samples
;   rdx = out     [rows x pixels]
;   rcx = rows    >= 0
;   r8  = pixels  of an image
;   clobbers what a call may
%define images      rbx
%define order       rbp                         ; the next sample's number
%define out         r12                         ; the next row
%define rows        r13                         ; rows still to do
%define pixels      r14
%define line        rdi                         ; a cache line of the image to ask for
%define line_end    rsi

gather_images:
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14                                 ; 8 + 5 * 8: calls are 16-byte aligned
    mov     images, rdi
    mov     order, rsi
    mov     out, rdx
    mov     rows, rcx
    mov     pixels, r8

.row:
    test    rows, rows
    jz      .done
    cmp     rows, AHEAD
    jle     .scale
    mov     edi, [order + AHEAD * INDEX]
    imul    line, pixels
    add     line, images
    lea     line_end, [line + pixels]
.ask:
    prefetcht1 [line]                           ; as far as the second cache: the first is full
    add     line, CACHE_LINE
    cmp     line, line_end
    jb      .ask
.scale:
    mov     edi, [order]                        ; 32 bits: the upper half becomes 0
    imul    rdi, pixels
    add     rdi, images
    mov     rsi, out
    mov     rdx, pixels
    call    [scale_pixels]
    add     order, INDEX
    lea     out, [out + pixels * F32]
    dec     rows
    jmp     .row

.done:
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef images
%undef order
%undef out
%undef rows
%undef pixels
%undef line
%undef line_end

;   void gather_labels(const uint8_t *labels, const uint32_t *order, uint8_t *out, int64_t rows)
;   rdi = labels  [samples]
;   rsi = order   [rows]  which samples
;   rdx = out     [rows]
;   rcx = rows    >= 0
;   clobbers rax, r8
%define labels      rdi
%define order       rsi
%define out         rdx
%define rows        rcx
%define n           r8

gather_labels:
    xor     n, n
.loop:
    cmp     n, rows
    jge     .done
    mov     eax, [order + n * INDEX]
    mov     al, [labels + rax]
    mov     [out + n], al
    inc     n
    jmp     .loop
.done:
    ret
.end:

%undef labels
%undef order
%undef out
%undef rows
%undef n

    section .note.GNU-stack noalloc noexec nowrite progbits
