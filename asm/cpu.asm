; What the processor can do, and how it is told to treat the smallest numbers.
;
; Source: Intel, Software Developer's Manual, volume 1, 13.2 and 14.3 (is AVX usable?), 15.2
; (AVX-512), 10.2.3 (MXCSR), volume 2, CPUID.

%include "cpu.inc"

    default rel
    section .text

    global  cpu_isa:function (cpu_isa.end - cpu_isa)
    global  flush_subnormals:function (flush_subnormals.end - flush_subnormals)

; CPUID, leaf 1, ecx
FMA             equ 1 << 12
OSXSAVE         equ 1 << 27                     ; the system lets programs ask what it saves
AVX             equ 1 << 28
; CPUID, leaf 7, ebx
BMI1            equ 1 << 3
AVX2            equ 1 << 5
BMI2            equ 1 << 8
AVX512F         equ 1 << 16
AVX512DQ        equ 1 << 17
AVX512BW        equ 1 << 30
AVX512VL        equ 1 << 31
; XCR0: which registers the system saves when it switches between programs
XMM_YMM         equ 0x06
OPMASK_ZMM      equ 0xe0

WANTED_1        equ FMA | OSXSAVE | AVX
WANTED_AVX2     equ BMI1 | AVX2 | BMI2
WANTED_AVX512   equ AVX512F | AVX512DQ | AVX512BW | AVX512VL

;   int64_t cpu_isa(void)
;   returns ISA_SSE2, ISA_AVX2 or ISA_AVX512 in rax: the best that processor and system allow
;   clobbers rcx, rdx, r8, r9
%define xcr0        r8d
%define features    r9d                         ; CPUID, leaf 7, ebx

cpu_isa:
    push    rbx                                 ; CPUID writes it
    xor     eax, eax
    cpuid
    cmp     eax, 7                              ; the highest leaf there is
    jb      .sse2

    mov     eax, 1
    cpuid
    and     ecx, WANTED_1                       ; all of them: `test` would be content with one
    cmp     ecx, WANTED_1
    jne     .sse2
    xor     ecx, ecx
    xgetbv
    mov     xcr0, eax
    and     eax, XMM_YMM
    cmp     eax, XMM_YMM
    jne     .sse2

    mov     eax, 7
    xor     ecx, ecx
    cpuid
    mov     features, ebx
    and     ebx, WANTED_AVX2
    cmp     ebx, WANTED_AVX2
    jne     .sse2

    and     xcr0, OPMASK_ZMM
    cmp     xcr0, OPMASK_ZMM
    jne     .avx2
    and     features, WANTED_AVX512
    cmp     features, WANTED_AVX512
    jne     .avx2

    mov     eax, ISA_AVX512
    pop     rbx
    ret
.avx2:
    mov     eax, ISA_AVX2
    pop     rbx
    ret
.sse2:
    mov     eax, ISA_SSE2
    pop     rbx
    ret
.end:

%undef xcr0
%undef features

; MXCSR
DAZ             equ 1 << 6                      ; subnormal operands count as 0
FTZ             equ 1 << 15                     ; subnormal results become 0

;   void flush_subnormals(void)
;   clobbers rax
;
; Numbers under 1.2e-38 are 0 from now on. No weight is so small that it would matter, but
; the processor calculates with such numbers a hundred times slower than with others, and
; what shrinks in every step, as the probability of a wrong class does, gets there.
flush_subnormals:
    stmxcsr [rsp - 8]
    or      dword [rsp - 8], DAZ | FTZ
    ldmxcsr [rsp - 8]
    ret
.end:

    section .note.GNU-stack noalloc noexec nowrite progbits
