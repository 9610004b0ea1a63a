; What the executable says about itself: the layer map, and the anchor of its probes.
;
; Neither is needed to train. The map is the text of mnist.toml in a section that is never
; loaded, so a debugger that is given the program has the map of exactly this program.

    section .nndbg progbits noalloc noexec nowrite align=1

    incbin  "asm/mnist.toml"                    ; nasm runs in the root of the repository

; Probe notes hold absolute addresses. Where this byte lies, compared with where the notes
; say it lies, tells a tool by how much the executable was moved.

    section .stapsdt.base progbits alloc noexec nowrite align=1

    global  _.stapsdt.base:data hidden 1
_.stapsdt.base:
    db      0

    section .note.GNU-stack noalloc noexec nowrite progbits
