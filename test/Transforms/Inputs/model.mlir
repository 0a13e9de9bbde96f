// A dense model of one layer, with biases on queries, keys and values.
#rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>
func.func @forward(
    %ids: tensor<?x?xi64> {qopt.name = "input_ids"},
    %mask: tensor<?x?xi64> {qopt.name = "attention_mask"},
    %positions: tensor<?x?xi64> {qopt.name = "position_ids"},
    %past_key: tensor<?x2x?x16xf32> {qopt.name = "past_key_values.0.key"},
    %past_value: tensor<?x2x?x16xf32> {qopt.name = "past_key_values.0.value"})
    -> (tensor<?x?x512xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>) {
  %table = qopt.weight @embed : tensor<512x64xf32>
  %x = qopt.embedding %ids, %table : (tensor<?x?xi64>, tensor<512x64xf32>) -> tensor<?x?x64xf32>
  %n1 = qopt.weight @norm1 : tensor<64xf32>
  %h = qopt.rms_norm %x, %n1 {eps = 1.0e-5 : f64} : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
  %wq = qopt.weight @q : tensor<64x64xf32>
  %wk = qopt.weight @k : tensor<32x64xf32>
  %wv = qopt.weight @v : tensor<32x64xf32>
  %wo = qopt.weight @o : tensor<64x64xf32>
  %bq = qopt.weight @bq : tensor<64xf32>
  %bk = qopt.weight @bk : tensor<32xf32>
  %bv = qopt.weight @bv : tensor<32xf32>
  %q = qopt.linear %h, %wq bias(%bq) : (tensor<?x?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
  %k = qopt.linear %h, %wk bias(%bk) : (tensor<?x?x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<?x?x32xf32>
  %v = qopt.linear %h, %wv bias(%bv) : (tensor<?x?x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<?x?x32xf32>
  %qr = qopt.rope %q, %positions {rope = #rope} : (tensor<?x?x64xf32>, tensor<?x?xi64>) -> tensor<?x?x64xf32>
  %kr = qopt.rope %k, %positions {rope = #rope} : (tensor<?x?x32xf32>, tensor<?x?xi64>) -> tensor<?x?x32xf32>
  %a, %pk, %pv = qopt.attention %qr, %kr, %v, %mask, %past_key, %past_value
    {num_heads = 4 : i64, num_kv_heads = 2 : i64, scale = 0.25 : f64}
    : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?xi64>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
    -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %o = qopt.linear %a, %wo : (tensor<?x?x64xf32>, tensor<64x64xf32>) -> tensor<?x?x64xf32>
  %x1 = qopt.add %x, %o : tensor<?x?x64xf32>
  %n2 = qopt.weight @norm2 : tensor<64xf32>
  %h2 = qopt.rms_norm %x1, %n2 {eps = 1.0e-5 : f64} : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
  %wg = qopt.weight @gate : tensor<96x64xf32>
  %wu = qopt.weight @up : tensor<96x64xf32>
  %wd = qopt.weight @down : tensor<64x96xf32>
  %g = qopt.linear %h2, %wg : (tensor<?x?x64xf32>, tensor<96x64xf32>) -> tensor<?x?x96xf32>
  %u = qopt.linear %h2, %wu : (tensor<?x?x64xf32>, tensor<96x64xf32>) -> tensor<?x?x96xf32>
  %s = qopt.silu_mul %g, %u : (tensor<?x?x96xf32>, tensor<?x?x96xf32>) -> tensor<?x?x96xf32>
  %d = qopt.linear %s, %wd : (tensor<?x?x96xf32>, tensor<64x96xf32>) -> tensor<?x?x64xf32>
  %x2 = qopt.add %x1, %d : tensor<?x?x64xf32>
  %n3 = qopt.weight @norm : tensor<64xf32>
  %h3 = qopt.rms_norm %x2, %n3 {eps = 1.0e-5 : f64} : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
  %l = qopt.logits %h3, %table : (tensor<?x?x64xf32>, tensor<512x64xf32>) -> tensor<?x?x512xf32>
  return %l, %pk, %pv : tensor<?x?x512xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>
}
