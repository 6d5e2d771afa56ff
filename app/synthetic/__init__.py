"""A synthetic shop of any size that follows the published REES46 figures (see `shop.generate`)."""

from app.synthetic.cut import cut_in_two
from app.synthetic.shop import START, GeneratedShop, Shop, generate

__all__ = ["START", "GeneratedShop", "Shop", "cut_in_two", "generate"]
