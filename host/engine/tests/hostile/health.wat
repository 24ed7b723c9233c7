;; A health decider that misbehaves on demand: `slow-ms` of the limits says how.
;; What it does wrong it does after marking its instance, so that a later answer
;; shows whether that instance was entered again: `healthy` is untouched,
;; `failed` is marked.
(module
  (memory (export "memory") 1)
  (global $marked (mut i32) (i32.const 0))
  (data (i32.const 64) "as told")

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    ;; Arguments go to the second page, one call at a time.
    (i32.const 1024))

  (func $forever (loop $again (br $again)))

  (func $storm (loop $again (drop (memory.grow (i32.const 16))) (br $again)))

  (func $deep (call $deep) (call $deep))

  ;; probes (pointer, length), slow-ms, failures, stale-ms, now-ms
  (func (export "kgents:health/judging@0.1.0#judge")
    (param i32 i32 i32 i32 i64 i64) (result i32)
    (local $status i32)
    (local.set $status (i32.add (i32.const 1) (i32.mul (i32.const 2) (global.get $marked))))
    (if (local.get 2) (then (global.set $marked (i32.const 1))))
    (if (i32.eq (local.get 2) (i32.const 1)) (then (call $forever)))
    (if (i32.eq (local.get 2) (i32.const 2)) (then (call $storm)))
    (if (i32.eq (local.get 2) (i32.const 3)) (then (unreachable)))
    (if (i32.eq (local.get 2) (i32.const 4)) (then (call $deep)))
    ;; A verdict at 32: status, reason (pointer, length).
    (i32.store8 (i32.const 32) (local.get $status))
    (i32.store (i32.const 36) (i32.const 64))
    (i32.store (i32.const 40) (i32.const 7))
    ;; 5: a reason that lies outside the memory.
    (if (i32.eq (local.get 2) (i32.const 5))
      (then (i32.store (i32.const 36) (i32.const 0x7fffffff))))
    ;; 6: a status that is none of the four.
    (if (i32.eq (local.get 2) (i32.const 6))
      (then (i32.store8 (i32.const 32) (i32.const 9))))
    ;; 7: a good answer that took 8 MiB.
    (if (i32.eq (local.get 2) (i32.const 7))
      (then (drop (memory.grow (i32.const 128)))))
    (i32.const 32)))
