"""A synthetic shop of any size that follows the published REES46 figures (see `shop.generate`)."""

from app.events.generate.shop import GeneratedShop, Shop, generate

__all__ = ["GeneratedShop", "Shop", "generate"]
