# Commands on one key: what they answer and announce.

=== A set creates, then replaces
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
kv.set {"key":"a","value":"2"}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000000,"value":"2"}
kv.get {"key":"a"}
= {"store_revision":2,"epoch":1000000,"key":"a","value":"2","revision":2,"created_revision":1}
kv.set {"key":"a","value":""}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":false}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":2,"commit_revision":3,"time_ms":1000000,"value":""}
kv.get {"key":"a"}
= {"store_revision":3,"epoch":1000000,"key":"a","value":"","revision":3,"created_revision":1}
kv.set {"key":"b","value_base64":"/w=="}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":true}
> {"revision":4,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":4,"time_ms":1000000,"value_base64":"/w=="}
kv.get {"key":"b"}
= {"store_revision":4,"epoch":1000000,"key":"b","value_base64":"/w==","revision":4,"created_revision":4}

=== A set returns the previous entry if asked
kv.set {"key":"a","value":"1","return_previous":true}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
kv.set {"key":"a","value":"2","ttl_ms":50,"return_previous":true}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"expires_at_ms":1000050,"previous":{"key":"a","value":"1","revision":1,"created_revision":1}}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000000,"value":"2","ttl_ms":50,"expires_at_ms":1000050}
kv.set {"key":"a","value":"3","return_previous":true}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":false,"previous":{"key":"a","value":"2","revision":2,"created_revision":1,"ttl_ms":50,"expires_at_ms":1000050}}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":2,"commit_revision":3,"time_ms":1000000,"value":"3"}
kv.delete {"key":"a","return_previous":true}
= {"store_revision":4,"epoch":1000000,"revision":4,"deleted":true,"previous":{"key":"a","value":"3","revision":3,"created_revision":1}}
> {"revision":4,"epoch":1000000,"op":"delete","key":"a","previous_revision":3,"commit_revision":4,"time_ms":1000000}
kv.delete {"key":"a","return_previous":true}
= {"store_revision":4,"epoch":1000000,"revision":0,"deleted":false}

=== A set without ttl clears the deadline, unless it keeps it
kv.set {"key":"a","value":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
advance 10ms
kv.set {"key":"a","value":"2","keep_ttl":true}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"expires_at_ms":1000100}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000010,"value":"2","ttl_ms":100,"expires_at_ms":1000100}
kv.get {"key":"a"}
= {"store_revision":2,"epoch":1000000,"key":"a","value":"2","revision":2,"created_revision":1,"ttl_ms":100,"expires_at_ms":1000100}
kv.set {"key":"a","value":"3"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":false}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":2,"commit_revision":3,"time_ms":1000010,"value":"3"}
kv.get {"key":"a"}
= {"store_revision":3,"epoch":1000000,"key":"a","value":"3","revision":3,"created_revision":1}
kv.set {"key":"a","value":"4","keep_ttl":true}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":false}
> {"revision":4,"epoch":1000000,"op":"set","key":"a","previous_revision":3,"commit_revision":4,"time_ms":1000010,"value":"4"}
kv.set {"key":"new","value":"1","keep_ttl":true}
= {"store_revision":5,"epoch":1000000,"revision":5,"created":true}
> {"revision":5,"epoch":1000000,"op":"set","key":"new","previous_revision":0,"commit_revision":5,"time_ms":1000010,"value":"1"}
advance 1h
kv.get {"key":"a"}
= {"store_revision":5,"epoch":1000000,"key":"a","value":"4","revision":4,"created_revision":1}

=== A kept deadline still ends the key
kv.set {"key":"a","value":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
advance 60ms
kv.set {"key":"a","value":"2","keep_ttl":true}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"expires_at_ms":1000100}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000060,"value":"2","ttl_ms":100,"expires_at_ms":1000100}
advance 39ms
kv.get {"key":"a"}
= {"store_revision":2,"epoch":1000000,"key":"a","value":"2","revision":2,"created_revision":1,"ttl_ms":100,"expires_at_ms":1000100}
advance 1ms
kv.get {"key":"a"}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
kv.set {"key":"a","value":"3","keep_ttl":true}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":true}
> {"revision":3,"epoch":1000000,"op":"expire","key":"a","previous_revision":2,"commit_revision":4,"time_ms":1000100}
> {"revision":4,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":4,"time_ms":1000100,"value":"3"}

=== A revision is a condition, and 0 says that there must be none
kv.set {"key":"a","value":"1","if_revision":0}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
kv.set {"key":"a","value":"2","if_revision":0}
! {"store_revision":1,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 1, not 0","temporary":false,"key":"a","revision":1}
kv.set {"key":"a","value":"2","if_revision":7}
! {"store_revision":1,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 1, not 7","temporary":false,"key":"a","revision":1}
kv.set {"key":"a","value":"2","if_revision":1}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false}
> {"revision":2,"epoch":1000000,"op":"set","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000000,"value":"2"}
kv.delete {"key":"a","if_revision":1}
! {"store_revision":2,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 2, not 1","temporary":false,"key":"a","revision":2}
kv.delete {"key":"a","if_revision":2}
= {"store_revision":3,"epoch":1000000,"revision":3,"deleted":true}
> {"revision":3,"epoch":1000000,"op":"delete","key":"a","previous_revision":2,"commit_revision":3,"time_ms":1000000}
kv.delete {"key":"a","if_revision":2}
! {"store_revision":3,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 0, not 2","temporary":false,"key":"a","revision":0}
kv.delete {"key":"a","if_revision":0}
= {"store_revision":3,"epoch":1000000,"revision":0,"deleted":false}
kv.touch {"key":"a","if_revision":2}
! {"store_revision":3,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 0, not 2","temporary":false,"key":"a","revision":0}
kv.increment {"key":"a","if_revision":1}
! {"store_revision":3,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 0, not 1","temporary":false,"key":"a","revision":0}
kv.increment {"key":"a","if_revision":0}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":true,"value":1}
> {"revision":4,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":4,"time_ms":1000000,"value":"1"}
kv.touch {"key":"a","if_revision":3,"ttl_ms":100}
! {"store_revision":4,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 4, not 3","temporary":false,"key":"a","revision":4}
kv.touch {"key":"a","if_revision":2,"ttl_ms":100}
! {"store_revision":4,"epoch":1000000,"code":"conflict","message":"\"a\" has revision 4, not 2","temporary":false,"key":"a","revision":4}

=== Deleting what is not there succeeds and announces nothing
kv.delete {"key":"a"}
= {"store_revision":0,"epoch":1000000,"revision":0,"deleted":false}
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
kv.delete {"key":"a"}
= {"store_revision":2,"epoch":1000000,"revision":2,"deleted":true}
> {"revision":2,"epoch":1000000,"op":"delete","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000000}
kv.delete {"key":"a"}
= {"store_revision":2,"epoch":1000000,"revision":0,"deleted":false}
kv.get {"key":"a"}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
kv.set {"key":"a","value":"2"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":3,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"2"}
kv.get {"key":"a"}
= {"store_revision":3,"epoch":1000000,"key":"a","value":"2","revision":3,"created_revision":3}

=== A touch gives the last ttl again, another, or none
kv.touch {"key":"a"}
! {"store_revision":0,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
kv.set {"key":"a","value":"1","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000100}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
advance 90ms
kv.touch {"key":"a"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000190}
advance 90ms
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1,"ttl_ms":100,"expires_at_ms":1000190}
kv.touch {"key":"a","ttl_ms":1000}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1001180}
advance 900ms
kv.touch {"key":"a"}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1002080}
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1,"ttl_ms":1000,"expires_at_ms":1002080}
kv.touch {"key":"a","ttl_ms":0}
= {"store_revision":1,"epoch":1000000,"revision":1}
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1}
advance 24h
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1}
kv.touch {"key":"a"}
= {"store_revision":1,"epoch":1000000,"revision":1}
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1}

=== A touch changes nothing where there never was a ttl
kv.set {"key":"a","value":"1"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
kv.touch {"key":"a"}
= {"store_revision":1,"epoch":1000000,"revision":1}
kv.touch {"key":"a","ttl_ms":0}
= {"store_revision":1,"epoch":1000000,"revision":1}
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1}
kv.touch {"key":"a","ttl_ms":20}
= {"store_revision":1,"epoch":1000000,"revision":1,"expires_at_ms":1000020}
kv.get {"key":"a"}
= {"store_revision":1,"epoch":1000000,"key":"a","value":"1","revision":1,"created_revision":1,"ttl_ms":20,"expires_at_ms":1000020}
advance 20ms
kv.touch {"key":"a","ttl_ms":20}
! {"store_revision":2,"epoch":1000000,"code":"not_found","message":"there is no key \"a\"","temporary":false,"key":"a"}
> {"revision":2,"epoch":1000000,"op":"expire","key":"a","previous_revision":1,"commit_revision":2,"time_ms":1000020}

=== An increment counts in decimal text
kv.increment {"key":"n"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"value":1}
> {"revision":1,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1"}
kv.increment {"key":"n","by":41}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"value":42}
> {"revision":2,"epoch":1000000,"op":"set","key":"n","previous_revision":1,"commit_revision":2,"time_ms":1000000,"value":"42"}
kv.get {"key":"n"}
= {"store_revision":2,"epoch":1000000,"key":"n","value":"42","revision":2,"created_revision":1}
kv.increment {"key":"n","by":-50}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":false,"value":-8}
> {"revision":3,"epoch":1000000,"op":"set","key":"n","previous_revision":2,"commit_revision":3,"time_ms":1000000,"value":"-8"}
kv.get {"key":"n"}
= {"store_revision":3,"epoch":1000000,"key":"n","value":"-8","revision":3,"created_revision":1}
kv.increment {"key":"n","by":0}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"by: must not be 0","temporary":false,"field":"by"}
kv.set {"key":"n","value":"10"}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":false}
> {"revision":4,"epoch":1000000,"op":"set","key":"n","previous_revision":3,"commit_revision":4,"time_ms":1000000,"value":"10"}
kv.increment {"key":"n"}
= {"store_revision":5,"epoch":1000000,"revision":5,"created":false,"value":11}
> {"revision":5,"epoch":1000000,"op":"set","key":"n","previous_revision":4,"commit_revision":5,"time_ms":1000000,"value":"11"}

=== An increment uses its ttl only when it creates, and keeps the deadline
kv.increment {"key":"n","ttl_ms":100}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"value":1}
> {"revision":1,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":100,"expires_at_ms":1000100}
advance 50ms
kv.increment {"key":"n","ttl_ms":5000}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false,"value":2}
> {"revision":2,"epoch":1000000,"op":"set","key":"n","previous_revision":1,"commit_revision":2,"time_ms":1000050,"value":"2","ttl_ms":100,"expires_at_ms":1000100}
kv.get {"key":"n"}
= {"store_revision":2,"epoch":1000000,"key":"n","value":"2","revision":2,"created_revision":1,"ttl_ms":100,"expires_at_ms":1000100}
advance 50ms
kv.increment {"key":"n","ttl_ms":5000}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":true,"value":1}
> {"revision":3,"epoch":1000000,"op":"expire","key":"n","previous_revision":2,"commit_revision":4,"time_ms":1000100}
> {"revision":4,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":4,"time_ms":1000100,"value":"1","ttl_ms":5000,"expires_at_ms":1005100}
kv.set {"key":"m","value":"1"}
= {"store_revision":5,"epoch":1000000,"revision":5,"created":true}
> {"revision":5,"epoch":1000000,"op":"set","key":"m","previous_revision":0,"commit_revision":5,"time_ms":1000100,"value":"1"}
kv.increment {"key":"m","ttl_ms":100}
= {"store_revision":6,"epoch":1000000,"revision":6,"created":false,"value":2}
> {"revision":6,"epoch":1000000,"op":"set","key":"m","previous_revision":5,"commit_revision":6,"time_ms":1000100,"value":"2"}
kv.get {"key":"m"}
= {"store_revision":6,"epoch":1000000,"key":"m","value":"2","revision":6,"created_revision":5}

=== An increment refuses what is no number and what would overflow
kv.set {"key":"n","value":"one"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"n","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"one"}
kv.increment {"key":"n"}
! {"store_revision":1,"epoch":1000000,"code":"invalid","message":"key: the value of \"n\" is not a whole number of 64 bits","temporary":false,"field":"key"}
kv.set {"key":"n","value":""}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":false}
> {"revision":2,"epoch":1000000,"op":"set","key":"n","previous_revision":1,"commit_revision":2,"time_ms":1000000,"value":""}
kv.increment {"key":"n"}
! {"store_revision":2,"epoch":1000000,"code":"invalid","message":"key: the value of \"n\" is not a whole number of 64 bits","temporary":false,"field":"key"}
kv.set {"key":"n","value":"1.5"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":false}
> {"revision":3,"epoch":1000000,"op":"set","key":"n","previous_revision":2,"commit_revision":3,"time_ms":1000000,"value":"1.5"}
kv.increment {"key":"n"}
! {"store_revision":3,"epoch":1000000,"code":"invalid","message":"key: the value of \"n\" is not a whole number of 64 bits","temporary":false,"field":"key"}
kv.set {"key":"n","value":"9223372036854775808"}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":false}
> {"revision":4,"epoch":1000000,"op":"set","key":"n","previous_revision":3,"commit_revision":4,"time_ms":1000000,"value":"9223372036854775808"}
kv.increment {"key":"n"}
! {"store_revision":4,"epoch":1000000,"code":"invalid","message":"key: the value of \"n\" is not a whole number of 64 bits","temporary":false,"field":"key"}
kv.set {"key":"n","value":"9223372036854775806"}
= {"store_revision":5,"epoch":1000000,"revision":5,"created":false}
> {"revision":5,"epoch":1000000,"op":"set","key":"n","previous_revision":4,"commit_revision":5,"time_ms":1000000,"value":"9223372036854775806"}
kv.increment {"key":"n","by":1}
= {"store_revision":6,"epoch":1000000,"revision":6,"created":false,"value":9223372036854775807}
> {"revision":6,"epoch":1000000,"op":"set","key":"n","previous_revision":5,"commit_revision":6,"time_ms":1000000,"value":"9223372036854775807"}
kv.increment {"key":"n","by":1}
! {"store_revision":6,"epoch":1000000,"code":"invalid","message":"by: 9223372036854775807 and 1 do not add up to a number of 64 bits","temporary":false,"field":"by"}
kv.increment {"key":"n","by":-9223372036854775808}
= {"store_revision":7,"epoch":1000000,"revision":7,"created":false,"value":-1}
> {"revision":7,"epoch":1000000,"op":"set","key":"n","previous_revision":6,"commit_revision":7,"time_ms":1000000,"value":"-1"}
kv.increment {"key":"n","by":-9223372036854775808}
! {"store_revision":7,"epoch":1000000,"code":"invalid","message":"by: -1 and -9223372036854775808 do not add up to a number of 64 bits","temporary":false,"field":"by"}
kv.get {"key":"n"}
= {"store_revision":7,"epoch":1000000,"key":"n","value":"-1","revision":7,"created_revision":1}

=== A clear deletes below a prefix, at most limit keys
kv.set {"key":"a","value":"0"}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true}
> {"revision":1,"epoch":1000000,"op":"set","key":"a","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"0"}
kv.set {"key":"a/1","value":"1"}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true}
> {"revision":2,"epoch":1000000,"op":"set","key":"a/1","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"1"}
kv.set {"key":"a/2","value":"2"}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true}
> {"revision":3,"epoch":1000000,"op":"set","key":"a/2","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"2"}
kv.set {"key":"a/3","value":"3"}
= {"store_revision":4,"epoch":1000000,"revision":4,"created":true}
> {"revision":4,"epoch":1000000,"op":"set","key":"a/3","previous_revision":0,"commit_revision":4,"time_ms":1000000,"value":"3"}
kv.set {"key":"b","value":"4"}
= {"store_revision":5,"epoch":1000000,"revision":5,"created":true}
> {"revision":5,"epoch":1000000,"op":"set","key":"b","previous_revision":0,"commit_revision":5,"time_ms":1000000,"value":"4"}
kv.clear {"prefix":"a/","limit":2}
= {"store_revision":7,"epoch":1000000,"revision":7,"deleted":2,"more":true}
> {"revision":6,"epoch":1000000,"op":"delete","key":"a/1","previous_revision":2,"commit_revision":7,"time_ms":1000000}
> {"revision":7,"epoch":1000000,"op":"delete","key":"a/2","previous_revision":3,"commit_revision":7,"time_ms":1000000}
kv.clear {"prefix":"a/","limit":2}
= {"store_revision":8,"epoch":1000000,"revision":8,"deleted":1,"more":false}
> {"revision":8,"epoch":1000000,"op":"delete","key":"a/3","previous_revision":4,"commit_revision":8,"time_ms":1000000}
kv.clear {"prefix":"a/"}
= {"store_revision":8,"epoch":1000000,"revision":0,"deleted":0,"more":false}
kv.list {}
= {"store_revision":8,"epoch":1000000,"entries":[{"key":"a","revision":1,"created_revision":1},{"key":"b","revision":5,"created_revision":5}]}
kv.clear {"prefix":""}
! {"store_revision":0,"epoch":0,"code":"invalid","message":"prefix: must not be empty","temporary":false,"field":"prefix"}

=== A clear expires what is past its deadline and does not count it
kv.set {"key":"a/1","value":"1","ttl_ms":10}
= {"store_revision":1,"epoch":1000000,"revision":1,"created":true,"expires_at_ms":1000010}
> {"revision":1,"epoch":1000000,"op":"set","key":"a/1","previous_revision":0,"commit_revision":1,"time_ms":1000000,"value":"1","ttl_ms":10,"expires_at_ms":1000010}
kv.set {"key":"a/2","value":"2"}
= {"store_revision":2,"epoch":1000000,"revision":2,"created":true}
> {"revision":2,"epoch":1000000,"op":"set","key":"a/2","previous_revision":0,"commit_revision":2,"time_ms":1000000,"value":"2"}
kv.set {"key":"a/3","value":"3","ttl_ms":10}
= {"store_revision":3,"epoch":1000000,"revision":3,"created":true,"expires_at_ms":1000010}
> {"revision":3,"epoch":1000000,"op":"set","key":"a/3","previous_revision":0,"commit_revision":3,"time_ms":1000000,"value":"3","ttl_ms":10,"expires_at_ms":1000010}
advance 10ms
kv.clear {"prefix":"a/"}
= {"store_revision":6,"epoch":1000000,"revision":5,"deleted":1,"more":false}
> {"revision":4,"epoch":1000000,"op":"expire","key":"a/1","previous_revision":1,"commit_revision":6,"time_ms":1000010}
> {"revision":5,"epoch":1000000,"op":"delete","key":"a/2","previous_revision":2,"commit_revision":6,"time_ms":1000010}
> {"revision":6,"epoch":1000000,"op":"expire","key":"a/3","previous_revision":3,"commit_revision":6,"time_ms":1000010}
status
= keys=0 instances=0 revision=6 epoch=1000000 announced=0 outbox=6
