
2
xPlaceholder*
dtype0*
shape
:
$
yMatMulxx*
transpose_b(