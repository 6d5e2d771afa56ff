"""A synthetic shop of any size that follows the published REES46 figures (see `shop.generate`)."""

from app.synthetic.shop import GeneratedShop, Shop, generate

__all__ = ["GeneratedShop", "Shop", "generate"]
