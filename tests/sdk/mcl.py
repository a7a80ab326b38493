"""A stand-in for the Python module `mcl`, for this test only. The real one needs a native library that no
package contains. This one has the few functions that the Zellular SDK and eigensdk call, built on py_ecc.

Points have the text form of mcl, in decimal: `0` or `1 x y` for G1, `1 real imaginary real imaginary` for G2.
"""

from py_ecc import optimized_bn128 as bn


class Fp:
    def __init__(self, value=0):
        self.value = int(value) % bn.field_modulus

    def setInt(self, value):
        self.value = int(value) % bn.field_modulus

    def setStr(self, text, base=10):
        self.value = int(text, base) % bn.field_modulus

    def getStr(self, base=10):
        return (b"%x" if base == 16 else b"%d") % self.value


class Fr(Fp):
    def setStr(self, text, base=10):
        self.value = int(text, base) % bn.curve_order


class Fp2:
    """With the names of the module mcl: a is the imaginary part, b the real one."""

    def __init__(self, value):
        self.real, self.imaginary = (int(part) for part in value.coeffs)

    def get_a(self):
        return Fp(self.imaginary)

    def get_b(self):
        return Fp(self.real)


class _Point:
    ZERO = FIELD = CURVE = None

    def __init__(self):
        self.point = self.ZERO

    @classmethod
    def of(cls, point):
        result = cls.BASE()
        result.point = point
        return result

    def clear(self):
        self.point = self.ZERO

    def isZero(self):
        return bn.is_inf(self.point)

    def normalize(self):
        return self.of(self.point)

    def affine(self):
        return (self.FIELD.zero(), self.FIELD.zero()) if self.isZero() else bn.normalize(self.point)

    def set(self, x, y):
        point = (x, y, self.FIELD.one())
        # Like mcl, ignores a point that is not on the curve.
        if bn.is_on_curve(point, self.CURVE):
            self.point = point

    def __add__(self, other):
        return self.of(bn.add(self.point, other.point))

    def __sub__(self, other):
        return self.of(bn.add(self.point, bn.neg(other.point)))

    def __neg__(self):
        return self.of(bn.neg(self.point))

    def __mul__(self, scalar):
        return self.of(bn.multiply(self.point, scalar.value))

    def __eq__(self, other):
        return bn.eq(self.point, other.point)


class G1(_Point):
    ZERO, FIELD, CURVE = bn.Z1, bn.FQ, bn.b

    def setStr(self, text, base=10):
        words = text.split()
        if words == [b"0"]:
            self.clear()
        elif len(words) == 3 and words[0] == b"1":
            self.set(*(bn.FQ(int(word)) for word in words[1:]))

    def getX(self):
        return Fp(self.affine()[0])

    def getY(self):
        return Fp(self.affine()[1])


class G2(_Point):
    ZERO, FIELD, CURVE = bn.Z2, bn.FQ2, bn.b2

    def setStr(self, text, base=10):
        words = text.split()
        if words == [b"0"]:
            self.clear()
        elif len(words) == 5 and words[0] == b"1":
            x0, x1, y0, y1 = (int(word) for word in words[1:])
            self.set(bn.FQ2([x0, x1]), bn.FQ2([y0, y1]))

    def getX(self):
        return Fp2(self.affine()[0])

    def getY(self):
        return Fp2(self.affine()[1])


G1.BASE, G2.BASE = G1, G2


class GT:
    def __init__(self, value):
        self.value = value

    @staticmethod
    def pairing(g1, g2):
        return GT(bn.pairing(g2.point, g1.point))

    def __eq__(self, other):
        return self.value == other.value
