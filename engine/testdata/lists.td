# Lists: pages, folds and both directions.

=== Keys come in byte order, by prefix
batch.apply {"ops":[{"op":"kv.set","key":"b","value":"1"},{"op":"kv.set","key":"a/2","value":"2"},{"op":"kv.set","key":"a","value":"3"},{"op":"kv.set","key":"a/10","value":"4"},{"op":"kv.set","key":"é","value":"5"},{"op":"kv.set","key":"a0","value":"6","ttl_ms":100}]}
= {"store_revision":6,"epoch":1000000,"revision":6,"results":[{"revision":1,"created":true},{"revision":2,"created":true},{"revision":3,"created":true},{"revision":4,"created":true},{"revision":5,"created":true},{"revision":6,"created":true,"expires_at_ms":1000100}]}
> {"revision":1,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":6,"time_ms":1000000,"value":"1"}
> {"revision":2,"epoch":1000000,"op":"set","key":"a/2","previous_revision":0,"commit_revision":6,"time_ms":1000000,"value":"2"}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":6,"time_ms":1000000,"value":"3"}
> {"revision":4,"epoch":1000000,"op":"set","key":"a/10","previous_revision":0,"commit_revision":6,"time_ms":1000000,"value":"4"}
> {"revision":5,"epoch":1000000,"op":"set","key":"é","previous_revision":0,"commit_revision":6,"time_ms":1000000,"value":"5"}
> {"revision":6,"epoch":1000000,"op":"set","key":"a0","previous_revision":0,"commit_revision":6,"time_ms":1000000,"value":"6","ttl_ms":100,"expires_at_ms":1000100}
kv.list {}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"a","revision":3,"created_revision":3},{"key":"a/10","revision":4,"created_revision":4},{"key":"a/2","revision":2,"created_revision":2},{"key":"a0","revision":6,"created_revision":6,"ttl_ms":100,"expires_at_ms":1000100},{"key":"b","revision":1,"created_revision":1},{"key":"é","revision":5,"created_revision":5}]}
kv.list {"return_values":true}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"a","value":"3","revision":3,"created_revision":3},{"key":"a/10","value":"4","revision":4,"created_revision":4},{"key":"a/2","value":"2","revision":2,"created_revision":2},{"key":"a0","value":"6","revision":6,"created_revision":6,"ttl_ms":100,"expires_at_ms":1000100},{"key":"b","value":"1","revision":1,"created_revision":1},{"key":"é","value":"5","revision":5,"created_revision":5}]}
kv.list {"prefix":"a"}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"a","revision":3,"created_revision":3},{"key":"a/10","revision":4,"created_revision":4},{"key":"a/2","revision":2,"created_revision":2},{"key":"a0","revision":6,"created_revision":6,"ttl_ms":100,"expires_at_ms":1000100}]}
kv.list {"prefix":"a/"}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"a/10","revision":4,"created_revision":4},{"key":"a/2","revision":2,"created_revision":2}]}
kv.list {"prefix":"a/1"}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"a/10","revision":4,"created_revision":4}]}
kv.list {"prefix":"c"}
= {"store_revision":6,"epoch":1000000,"entries":[]}
kv.list {"prefix":"é","reverse":true}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"é","revision":5,"created_revision":5}]}
kv.list {"reverse":true}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"é","revision":5,"created_revision":5},{"key":"b","revision":1,"created_revision":1},{"key":"a0","revision":6,"created_revision":6,"ttl_ms":100,"expires_at_ms":1000100},{"key":"a/2","revision":2,"created_revision":2},{"key":"a/10","revision":4,"created_revision":4},{"key":"a","revision":3,"created_revision":3}]}
kv.list {"prefix":"a/","reverse":true}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"a/2","revision":2,"created_revision":2},{"key":"a/10","revision":4,"created_revision":4}]}
kv.list {"prefix":"a","reverse":true}
= {"store_revision":6,"epoch":1000000,"entries":[{"key":"a0","revision":6,"created_revision":6,"ttl_ms":100,"expires_at_ms":1000100},{"key":"a/2","revision":2,"created_revision":2},{"key":"a/10","revision":4,"created_revision":4},{"key":"a","revision":3,"created_revision":3}]}

=== After is a place, not a key that must exist
fill k 5
kv.list {"after":"k001"}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k002","revision":3,"created_revision":3},{"key":"k003","revision":4,"created_revision":4},{"key":"k004","revision":5,"created_revision":5}]}
kv.list {"after":"k001x"}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k002","revision":3,"created_revision":3},{"key":"k003","revision":4,"created_revision":4},{"key":"k004","revision":5,"created_revision":5}]}
kv.list {"after":"a"}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k000","revision":1,"created_revision":1},{"key":"k001","revision":2,"created_revision":2},{"key":"k002","revision":3,"created_revision":3},{"key":"k003","revision":4,"created_revision":4},{"key":"k004","revision":5,"created_revision":5}]}
kv.list {"after":"z"}
= {"store_revision":5,"epoch":1000000,"entries":[]}
kv.list {"after":"k003","reverse":true}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k002","revision":3,"created_revision":3},{"key":"k001","revision":2,"created_revision":2},{"key":"k000","revision":1,"created_revision":1}]}
kv.list {"after":"k0025","reverse":true}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k002","revision":3,"created_revision":3},{"key":"k001","revision":2,"created_revision":2},{"key":"k000","revision":1,"created_revision":1}]}
kv.list {"after":"a","reverse":true}
= {"store_revision":5,"epoch":1000000,"entries":[]}
kv.list {"after":"z","reverse":true}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k004","revision":5,"created_revision":5},{"key":"k003","revision":4,"created_revision":4},{"key":"k002","revision":3,"created_revision":3},{"key":"k001","revision":2,"created_revision":2},{"key":"k000","revision":1,"created_revision":1}]}
kv.list {"prefix":"k","after":"z","reverse":true}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k004","revision":5,"created_revision":5},{"key":"k003","revision":4,"created_revision":4},{"key":"k002","revision":3,"created_revision":3},{"key":"k001","revision":2,"created_revision":2},{"key":"k000","revision":1,"created_revision":1}]}
kv.list {"prefix":"k","after":"a","reverse":true}
= {"store_revision":5,"epoch":1000000,"entries":[]}
kv.list {"prefix":"k","after":"a"}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k000","revision":1,"created_revision":1},{"key":"k001","revision":2,"created_revision":2},{"key":"k002","revision":3,"created_revision":3},{"key":"k003","revision":4,"created_revision":4},{"key":"k004","revision":5,"created_revision":5}]}
kv.list {"prefix":"k","after":"z"}
= {"store_revision":5,"epoch":1000000,"entries":[]}
kv.list {"after":"k001","limit":1}
= {"store_revision":5,"epoch":1000000,"entries":[{"key":"k002","revision":3,"created_revision":3}],"next":"hKFlzgAPQkChcgWhZs9IARMQSuVzN6FhpGswMDI"}

=== A delimiter folds what follows it
fill a/b/ 2
fill a/c/ 1
fill a/d 2
fill b/ 1
kv.set {"key":"a/","value":"1"}
= {"store_revision":7,"epoch":1000000,"revision":7,"created":true}
> {"revision":7,"epoch":1000000,"op":"set","key":"a/","previous_revision":0,"commit_revision":7,"time_ms":1000000,"value":"1"}
kv.set {"key":"a","value":"1"}
= {"store_revision":8,"epoch":1000000,"revision":8,"created":true}
> {"revision":8,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":8,"time_ms":1000000,"value":"1"}
kv.set {"key":"c","value":"1"}
= {"store_revision":9,"epoch":1000000,"revision":9,"created":true}
> {"revision":9,"epoch":1000000,"op":"set","key":"c","previous_revision":0,"commit_revision":9,"time_ms":1000000,"value":"1"}
kv.list {"delimiter":"/"}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a","revision":8,"created_revision":8},{"key":"c","revision":9,"created_revision":9}],"prefixes":["a/","b/"]}
kv.list {"delimiter":"/","reverse":true}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"c","revision":9,"created_revision":9},{"key":"a","revision":8,"created_revision":8}],"prefixes":["b/","a/"]}
kv.list {"prefix":"a/","delimiter":"/"}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a/","revision":7,"created_revision":7},{"key":"a/d000","revision":4,"created_revision":4},{"key":"a/d001","revision":5,"created_revision":5}],"prefixes":["a/b/","a/c/"]}
kv.list {"prefix":"a/","delimiter":"/","reverse":true}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a/d001","revision":5,"created_revision":5},{"key":"a/d000","revision":4,"created_revision":4},{"key":"a/","revision":7,"created_revision":7}],"prefixes":["a/c/","a/b/"]}
kv.list {"prefix":"a","delimiter":"/"}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a","revision":8,"created_revision":8}],"prefixes":["a/"]}
kv.list {"prefix":"a/b/","delimiter":"/"}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a/b/000","revision":1,"created_revision":1},{"key":"a/b/001","revision":2,"created_revision":2}]}
kv.list {"prefix":"a","delimiter":"/b"}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a","revision":8,"created_revision":8},{"key":"a/","revision":7,"created_revision":7},{"key":"a/c/000","revision":3,"created_revision":3},{"key":"a/d000","revision":4,"created_revision":4},{"key":"a/d001","revision":5,"created_revision":5}],"prefixes":["a/b"]}
kv.list {"delimiter":"/","after":"a/b/000"}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"c","revision":9,"created_revision":9}],"prefixes":["a/","b/"]}
kv.list {"delimiter":"/","after":"a/c/000","reverse":true}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a","revision":8,"created_revision":8}],"prefixes":["a/"]}
kv.list {"delimiter":"/","after":"a/","prefix":"a/"}
= {"store_revision":9,"epoch":1000000,"entries":[{"key":"a/d000","revision":4,"created_revision":4},{"key":"a/d001","revision":5,"created_revision":5}],"prefixes":["a/b/","a/c/"]}

=== What is past its deadline is in no list and makes no fold
kv.set {"key":"a","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"b/1","value":"1","ttl_ms":10}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true,"expires_at_ms":1000010}
> {"revision":2,"epoch":1000000,"op":"set","key":"b/1","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"c/1","value":"1","ttl_ms":10}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true,"expires_at_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"c/1","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"c/2","value":"1"}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":true}
> {"revision":4,"epoch":1000000,"op":"set","key":"c/2","previous_revision":0,"commit_revision":4,"time_ms":1000000,"value":"1"}
advance 10ms
kv.list {}
= {"store_revision":4,"epoch":1000000,"entries":[{"key":"c/2","revision":4,"created_revision":4}]}
kv.list {"delimiter":"/"}
= {"store_revision":4,"epoch":1000000,"entries":[],"prefixes":["c/"]}
kv.list {"delimiter":"/","reverse":true}
= {"store_revision":4,"epoch":1000000,"entries":[],"prefixes":["c/"]}
kv.list {"limit":1}
= {"store_revision":4,"epoch":1000000,"entries":[{"key":"c/2","revision":4,"created_revision":4}]}

=== batch.get returns those that exist, in request order
batch.apply {"ops":[{"op":"kv.set","key":"a","value":"1"},{"op":"kv.set","key":"b","value":"2"},{"op":"kv.set","key":"c","value":"3","ttl_ms":10}]}
= {"store_revision":3,"epoch":1000000,"revision":3,"results":[{"revision":1,"created":true},{"revision":2,"created":true},{"revision":3,"created":true,"expires_at_ms":1000010}]}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"1"}
> {"revision":2,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"2"}
> {"revision":3,"epoch":1000000,"op":"set","key":"c","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"3","ttl_ms":10,"expires_at_ms":1000010}
batch.get {"keys":["c","none","a","b","a"]}
= {"store_revision":3,"epoch":1000000,"entries":[{"key":"c","value":"3","revision":3,"created_revision":3,"ttl_ms":10,"expires_at_ms":1000010},{"key":"a","value":"1","revision":1,"created_revision":1},{"key":"b","value":"2","revision":2,"created_revision":2},{"key":"a","value":"1","revision":1,"created_revision":1}]}
advance 10ms
batch.get {"keys":["c","none","a"]}
= {"store_revision":3,"epoch":1000000,"entries":[{"key":"a","value":"1","revision":1,"created_revision":1}]}
batch.get {"keys":["none"]}
= {"store_revision":3,"epoch":1000000,"entries":[]}
batch.get {"keys":[]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"keys: must not be empty","temporary":false,"field":"keys"}
batch.get {"keys":["a",""]}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"keys[1]: must not be empty","temporary":false,"field":"keys[1]","index":1}
