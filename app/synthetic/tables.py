"""What the synthetic shop sells and how it behaves: figures measured on the REES46 months.

Sources: views by category, "2019-Nov MostVisitedCategory" (published Spark output over the full month);
brand totals, event mix, missing values, hours, prices and sessions, the published October exploration;
session funnel, a published session-complete sample; prices and brands within a category, the first
17,434 rows of October (under three hours of one day). The `-` category codes are the 70 largest
categories without a code there. A category with too few of those rows (prices: 3, brands: 12) has the
prices and brands of its main category; one with none has an id that is made up.
"""

from typing import NamedTuple

VIEWS, CARTS, PURCHASES = 40_779_399, 926_516, 742_849  #: events by type, October 2019
EVENTS = VIEWS + CARTS + PURCHASES
SESSIONS = 9_244_422  #: October 2019
USERS, PRODUCTS = 3_000_000, 166_794  #: sizes taken for a month of that many events; in none of those sources
CODE_MISSING, BRAND_MISSING = 0.3184, 0.1440  #: shares of events, October 2019
MEAN_PRICE = {"view": 288.98, "cart": 333.83, "purchase": 309.56}  #: October 2019
MAX_PRICE, MIN_PURCHASE_PRICE = 2574.07, 0.77

#: Shares of sessions: with a cart event, with cart and purchase, with a purchase but no cart event.
SESSIONS_CART, SESSIONS_CART_PURCHASE, SESSIONS_PURCHASE_ONLY = 0.0816, 0.0287, 0.0153

#: Brands' shares of all events, October 2019; the empty name is a missing brand.
BRAND_SHARES = {
    "": BRAND_MISSING,
    "samsung": 5_282_775 / EVENTS,
    "apple": 4_122_554 / EVENTS,
    "xiaomi": 3_083_763 / EVENTS,
    "huawei": 1_111_205 / EVENTS,
}

#: Events by hour (thousands). Hours 0 to 9 are published; 10 to 23 are made up so that the total is
#: October's and the peak lies at 15 h, which is published too.
HOURS: tuple[int, ...] = (
    *(307, 559, 1069, 1550, 1916, 2126, 2269, 2336, 2390, 2352, 2290, 2250),
    *(2270, 2370, 2600, 2800, 2710, 2540, 2065, 1482, 931, 591, 381, 295),
)

#: How much likelier than its views a category is to be bought: its share of November's cart events
#: ("MostAddedCategory") over its share of views; 0.76 for all others.
CONVERSION = {
    "electronics.smartphone": 1.64,
    "electronics.audio.headphone": 1.67,
    "electronics.video.tv": 1.08,
    "appliances.kitchen.washer": 1.12,
    "electronics.clocks": 0.73,
    "appliances.environment.vacuum": 0.94,
    "computers.notebook": 0.59,
    "appliances.kitchen.refrigerators": 0.80,
    "apparel.shoes": 0.46,
    "electronics.tablet": 1.01,
}
OTHER_CONVERSION = 0.76

#: Price level of a brand: geometric mean over its products of the price against other brands in the same
#: category, in the same October rows (58 to 221 products a brand).
BRAND_PRICE = {
    "apple": 3.45,
    "samsung": 1.18,
    "xiaomi": 0.76,
    "huawei": 0.69,
    "bosch": 1.46,
    "lg": 1.35,
    "sony": 1.64,
}


class Category(NamedTuple):
    """One sub-category: `views` is a share within the coded or the uncoded categories."""

    category_id: int
    code: str | None
    views: float
    price: float  # mean price of its events
    brands: dict[str, float]  # weights; the empty name is a missing brand


def categories() -> list[Category]:
    """The sub-categories of the shop, largest first within coded and uncoded ones."""
    return [_category(line) for line in _CATEGORIES.strip().splitlines()]


def _category(line: str) -> Category:
    category_id, code, views, price, *brands = line.split()
    weights = {}
    for brand in brands:
        name, weight = brand.rsplit(":", 1)
        weights["" if name == "-" else name] = float(weight)
    return Category(int(category_id), None if code == "-" else code, float(views), float(price), weights)


# category_id, code, views (thousands in November if coded, else rows), mean price, brand:weight ...
_CATEGORIES = """
2053013555631882655 electronics.smartphone 14832 496 samsung:34 apple:31 xiaomi:18 huawei:11 oppo:3 vivo:2
2053013558920217191 computers.notebook 2103 725 acer:29 lenovo:27 hp:20 asus:12 apple:5 dell:4 xiaomi:2 -:1
2053013554415534427 electronics.video.tv 2071 462 samsung:50 artel:16 lg:12 sony:8 yasin:5 haier:5 kivi:4
2053013561579406073 electronics.clocks 1994 356 casio:25 -:21 apple:18 samsung:14 xiaomi:9 garmin:7 tissot:4
2053013565782098913 apparel.shoes 1836 88 respect:26 -:17 salamander:14 rieker:13 shagovita:12 baden:7
2053013554658804075 electronics.audio.headphone 1644 96 apple:38 xiaomi:25 elari:11 samsung:10 jbl:8 sony:4
2053013565983425517 appliances.environment.vacuum 1445 157 samsung:24 karcher:15 vitek:13 xiaomi:13 -:11
2053013563911439225 appliances.kitchen.refrigerators 1362 373 -:27 indesit:21 lg:14 beko:10 atlant:9 haier:7
2053013563810775923 appliances.kitchen.washer 1313 360 samsung:47 lg:26 indesit:9 beko:7 midea:4 artel:4
2053013561092866779 computers.desktop 673 675 pulser:48 acer:19 hp:9 netechnics:6 lenovo:6 apple:4 dxracer:4
2053013557133443581 furniture.living_room.cabinet 539 286 -:57 sv:22 brw:16 bts:5
2053013557192163841 furniture.bedroom.bed 519 197 -:47 sv:21 brw:14 bts:5 polini:4 lorelli:4 romack:3
2053013565069067197 apparel.shoes.keds 475 81 respect:21 -:19 strobbs:13 asics:12 adidas:12 nike:10
2172371436436455782 electronics.tablet 464 409 apple:36 samsung:35 prestigio:10 huawei:10 wacom:6 bq:3
2053013553970938175 auto.accessories.player 456 110 -:31 pioneer:24 jvc:16 nakamichi:9 kenwood:6 swat:6
2053013559792632471 furniture.living_room.sofa 417 535 -:97 rals:3
2053013556311359947 construction.tools.drill 381 115 bosch:23 -:21 makita:17 crown:13 alteco:12 dewalt:11
2053013564003713919 appliances.kitchen.oven 362 114 artel:40 elenberg:37 asel:12 bosch:4 shivaki:4 hansa:4
2053013560346280633 kids.carriage 336 147 belecoo:30 wingoffly:17 -:13 alis:11 chicco:7 lorelli:7 coballe:7
2053013555573162395 electronics.telephone 327 31 nokia:41 texet:26 bq:13 inoi:7 panasonic:5 prestigio:4
2053013555262783879 appliances.kitchen.blender 317 55 redmond:45 polaris:14 braun:12 vitek:10 panasonic:9
2053013566209917945 accessories.bag 306 70 karya:40 -:16 baden:11 rivacase:10 lenovo:8 xiaomi:6 continent:5
2053013553945772349 electronics.audio.subwoofer 305 107 -:34 pride:18 pioneer:15 alpine:10 mystery:7 hertz:7
2053013554776244595 appliances.kitchen.microwave 285 129 samsung:28 elenberg:21 lg:18 ava:8 gorenje:8
2053013560807654091 auto.accessories.alarm 283 127 starline:80 tomahawk:8 centurion:4 pandora:4 cenmax:4
2053013566176363511 appliances.iron 278 41 tefal:23 redmond:19 scarlett:18 elenberg:14 philips:11 vitek:9
2053013552293216471 appliances.environment.air_heater 269 43 oasis:30 elenberg:18 electrolux:13 ballu:12
2053013560899928785 auto.accessories.videoregister 267 115 sho-me:30 -:28 ibox:12 prestigio:7 neoline:7
2053013566100866035 appliances.sewing_machine 266 498 janome:67 bernina:21 jaguar:9 brother:4
2053013554834964853 appliances.kitchen.kettle 264 46 tefal:23 dauscher:21 maxwell:14 elenberg:12
2053013555321504139 appliances.kitchen.meat_grinder 242 91 -:25 bosch:21 redmond:12 moulinex:11 elenberg:10
2084962304016777941 apparel.costume 241 106 -:100
2053013552955916539 computers.peripherals.printer 209 183 epson:38 hp:32 canon:19 samsung:8 -:3
2053013553031414015 computers.peripherals.monitor 203 235 samsung:26 qmax:23 acer:14 lg:14 asus:9 dell:7
2053013553090134275 kids.toys 199 32 -:35 chicco:22 orange:13 silverlit:13 alilo:9 fancy:9
2053013566142809077 construction.tools.generator 196 196 philips:22 tefal:17 karcher:17 elenberg:13 denzel:9
2053013552326770905 appliances.environment.water_heater 194 123 ariston:48 thermex:13 -:13 artel:13 haier:5
2053013558316237377 furniture.kitchen.table 192 198 -:55 bts:21 sv:10 domini:10 ersport:5
2053013563743667055 appliances.kitchen.hood 191 99 artel:38 turbo:15 turboair:12 midea:10 dauscher:6 zorg:6
2053013556202308035 construction.tools.saw 185 261 huter:29 -:18 stihl:13 makita:11 bosch:9 alteco:7
2053013559901684381 furniture.kitchen.chair 180 60 -:36 zeta:22 shenma:17 joie:14 barneo:6 mamadoma:6
2053013563877884791 appliances.kitchen.hob 179 210 dauscher:38 bosch:27 hansa:12 beko:8 greta:8 samsung:8
2053013563944993659 appliances.kitchen.dishwasher 156 403 bosch:43 beko:33 dauscher:10 indesit:7 hansa:7
2053013554247762257 computers.components.videocards 147 412 palit:36 asus:18 gigabyte:14 powercolor:14
2127425436764865054 construction.tools.welding 141 272 magnetta:28 -:23 denzel:15 laston:8 huter:8 redbo:8
2053013555069845885 appliances.kitchen.mixer 140 100 polaris:26 scarlett:21 elenberg:14 bosch:12
2053013557670314521 electronics.audio.acoustic 137 190 fender:53 yamaha:26 denn:21
2053013555095011711 appliances.kitchen.coffee_machine 128 235 samsung:19 -:18 elenberg:16 lg:12 redmond:10
2053013554751078769 appliances.kitchen.grill 116 167 redmond:51 tefal:32 delonghi:7 maxwell:5 vitek:5
2053013552888807671 computers.peripherals.mouse 109 41 logitech:32 -:16 hp:16 delux:12 kingston:8 crown:8
2053013554222596431 computers.components.hdd 108 54 kingston:30 transcend:30 crucial:24 apacer:15
2116907525176557699 sport.bicycle 106 561 giant:27 axis:27 phoenix:11 torrent:9 stels:9 sunday:7 bafang:7
2053013552351936731 appliances.environment.air_conditioner 97 257 elenberg:42 tcl:32 almacom:11 atlantic:5
2146660887002349890 apparel.dress 95 34 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2053013564674802599 sport.trainer 93 380 axis:26 giant:26 phoenix:11 torrent:9 stels:9 sunday:7 bafang:7 -:5
2053013562946749253 appliances.personal.scales 88 19 xiaomi:26 bene:26 redmond:22 galaxy:9 huawei:9
2053013553224352013 kids.dolls 86 30 -:50 llorens:25 mattel:25
2053013560312726199 furniture.living_room.chair 85 212 -:48 heyner:37 lorelli:15
2165087460176953468 auto.accessories.compressor 85 137 -:46 berkut:38 chameleon:15
2053013563097744201 appliances.personal.hair_cutter 85 31 philips:29 vitek:21 scarlett:17 moser:17 bene:8
2053013552913973497 computers.peripherals.keyboard 84 45 redragon:18 -:14 rapoo:14 kingston:14 defender:14
2053013554121933129 computers.components.cpu 81 223 intel:80 amd:20
2053013554189041997 computers.components.memory 76 66 hyperx:39 -:22 geil:17 kingston:13 crucial:9
2053013554155487563 computers.components.motherboard 74 132 asus:39 asrock:22 gigabyte:22 msi:17
2053013555220840837 appliances.kitchen.juicer 71 124 samsung:19 -:18 elenberg:16 lg:12 redmond:10 bosch:9
2053013555816432043 kids.skates 70 373 kugoo:38 xiaomi:24 maomaoku:10 -:10 freefeet:10 segway:10
2053013563718501229 computers.components.cooler 70 32 acer:26 lenovo:23 hp:20 asus:13 pulser:7 apple:5
2053013566243472379 accessories.wallet 68 48 karya:70 picard:20 petek:10
2053013560530830019 electronics.camera.video 63 215 xiaomi:47 gopro:32 panasonic:21
2053013557603205653 electronics.audio.music_tools.piano 60 436 samsung:33 apple:31 xiaomi:18 huawei:9 -:2
2053013566033757167 appliances.ironing_board 60 37 samsung:19 -:18 elenberg:16 lg:12 redmond:10 bosch:9
2053013566537072653 kids.swing 57 235 -:31 belecoo:20 wingoffly:12 chicco:10 alis:8 kugoo:8 huggies:7
2100825583029060150 apparel.jeans 52 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2086471240842740173 apparel.shirt 50 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2053013560866374351 auto.accessories.radar 47 155 starline:29 -:26 pioneer:15 jvc:10 sho-me:6 nakamichi:6
2070005009382114061 apparel.underwear 47 21 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7
2053013557343158789 construction.components.faucet 45 33 -:40 bosch:12 huter:11 makita:10 alteco:8
2053013553316626707 computers.ebooks 45 121 acer:26 lenovo:23 hp:20 asus:13 pulser:7 apple:5 dell:4 -:3
2053013554474254687 electronics.audio.microphone 44 62 samsung:33 apple:31 xiaomi:18 huawei:9 -:2 oppo:2
2053013627777777794 appliances.personal.massager 42 189 samsung:19 -:18 elenberg:16 lg:12 redmond:10 bosch:9
2053013560086233771 construction.tools.pump 41 93 -:59 leo:28 alteco:6 magnetta:6
2053013554960793975 appliances.kitchen.toster 38 66 samsung:19 -:18 elenberg:16 lg:12 redmond:10 bosch:9
2053013554096767303 computers.components.power_supply 33 78 huntkey:39 gigabyte:33 cougar:17 corsair:11
2053013705555555571 apparel.jumper 31 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7
2098563450757186313 construction.tools.light 30 11 -:73 eco:12 lezard:8 garant:8
2053013556344914381 kids.fmcg.diapers 29 10 -:31 belecoo:20 wingoffly:12 chicco:10 alis:8 kugoo:8 huggies:7
2053013561847841545 furniture.bedroom.blanket 28 64 -:67 sv:13 brw:8 bts:5 heyner:2 lorelli:2 zeta:2 joie:2
2053013561780732677 furniture.bedroom.pillow 28 24 -:47 belashoff:33 vegas:20
2053013557418656265 furniture.bathroom.toilet 28 71 cersanit:50 santeri:30 sanita:20
2110937219005940617 apparel.trousers 25 35 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7
2053013557477376525 furniture.bathroom.bath 22 291 -:67 sv:13 brw:8 bts:5 heyner:2 lorelli:2 zeta:2 joie:2
2053013552570040549 electronics.video.projector 22 798 viewsonic:31 cinemood:23 byintek:15 vivitek:15
2097815753423061045 apparel.tshirt 21 39 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7
2053013562292437791 medicine.tools.tonometer 20 51 omron:78 -:22
2053013783333333348 construction.tools.painting 19 167 -:40 bosch:12 huter:11 makita:10 alteco:8 magnetta:7
2053013560497275585 electronics.camera.photo 18 436 samsung:33 apple:31 xiaomi:18 huawei:9 -:2 oppo:2
2053013555120177537 appliances.kitchen.steam_cooker 18 45 samsung:19 -:18 elenberg:16 lg:12 redmond:10
2053013554725912943 appliances.kitchen.coffee_grinder 18 189 samsung:19 -:18 elenberg:16 lg:12 redmond:10
2135658542101693154 sport.snowboard 17 533 axis:26 giant:26 phoenix:11 torrent:9 stels:9 sunday:7 bafang:7
2053013559348036219 sport.ski 16 533 axis:26 giant:26 phoenix:11 torrent:9 stels:9 sunday:7 bafang:7 -:5
2053013562149831447 furniture.universal.light 15 534 -:67 sv:13 brw:8 bts:5 heyner:2 lorelli:2 zeta:2 joie:2
2053013565824041955 apparel.shoes.sandals 15 38 rieker:77 respect:9 salamander:9 -:5
2053013560623104713 auto.accessories.parktronic 14 53 starline:29 -:26 pioneer:15 jvc:10 sho-me:6
2053013565253616583 apparel.shoes.moccasins 12 75 etor:67 destra:33
2053013552737812719 stationery.cartrige 11 10 hp:100
2053013559985570467 country_yard.cultivator 9 268 ventara:38 huter:38 palisad:25
2110187395688169553 apparel.skirt 8 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2134905045253095435 sport.tennis 7 533 axis:26 giant:26 phoenix:11 torrent:9 stels:9 sunday:7 bafang:7 -:5
2053013861111111125 computers.peripherals.camera 7 544 acer:26 lenovo:23 hp:20 asus:13 pulser:7 apple:5
2053013938888888902 country_yard.lawn_mower 6 201 ventara:38 huter:38 palisad:25
2100065080828756704 auto.accessories.winch 5 511 starline:29 -:26 pioneer:15 jvc:10 sho-me:6 nakamichi:6
2053013565329114057 apparel.shoes.slipons 5 54 greyder:36 bugatti:36 -:14 nexpero:14
2094006249627582860 accessories.umbrella 4 26 karya:46 -:13 baden:9 rivacase:8 xiaomi:8 lenovo:6 picard:5
2053014016666666679 apparel.belt 4 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2053013565857596389 apparel.shoes.ballet_shoes 4 78 -:27 respect:25 rieker:14 salamander:9 baden:7
2053014094444444456 apparel.glove 3 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2069241407767315312 apparel.scarf 3 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2053014172222222233 construction.tools.soldering 3 167 -:40 bosch:12 huter:11 makita:10 alteco:8 magnetta:7
2127424820051182462 apparel.sock 3 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2053014250000000010 auto.accessories.anti_freeze 3 120 starline:29 -:26 pioneer:15 jvc:10 sho-me:6
2053014327777777787 appliances.environment.fan 3 189 samsung:19 -:18 elenberg:16 lg:12 redmond:10 bosch:9
2053013565152953281 apparel.shoes.step_ins 1 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7
2059484601981600061 country_yard.furniture.hammok 1 147 ventara:38 huter:38 palisad:25
2053013565505274835 apparel.shoes.espadrilles 1 23 -:27 respect:25 rieker:14 salamander:9 baden:7
2053014405555555564 apparel.shorts 1 78 -:27 respect:25 rieker:14 salamander:9 baden:7 shagovita:7 strobbs:6
2053014483333333341 construction.tools.screw 1 167 -:40 bosch:12 huter:11 makita:10 alteco:8 magnetta:7
2053013553559896355 - 770 68 cordiant:29 triangle:21 nokian:15 yokohama:14 -:10 viatti:6 bridgestone:5
2053013563651392361 - 304 321 -:66 lucente:22 sokolov:12
2053013563970159485 - 274 307 dauscher:34 artel:34 bosch:10 gefest:6 -:6 beko:5 hansa:5
2053013556168753601 - 244 116 stels:34 force:29 -:12 aeroforce:11 wera:6 tundra:4 stanley:4
2053013563693335403 - 187 219 -:61 sokolov:17 lucente:16 efremov:3 vega:3
2053013553853497655 - 182 127 -:56 montale:14 lanvin:10 versace:9 byredo:4 bulgari:4 chanel:3
2053013557024391671 - 166 557 -:76 lider:10 sv:5 bts:5 imperial:2 mystar:1
2053013553526341921 - 149 284 skad:45 kipardo:25 -:12 trebl:10 nitro:3 rimax:3 rial:2
2053013553375346967 - 144 36 xiaomi:87 samsung:4 honor:3 huawei:3 garmin:1 acme:1
2053013563173241677 - 143 42 vitek:24 philips:24 rowenta:16 elenberg:15 remington:10 braun:9
2053013564918072245 - 133 134 -:61 nikotex:10 balta:8 confetti:8 erkaplan:6 kartal:4 moldabela:3
2053013553484398879 - 106 68 bars:49 crona:13 genesis:10 mutlu:9 volta:8 racer:6 -:4
2053013558031024687 - 91 109 luminarc:73 -:27
2053013561218695907 - 81 295 sony:67 microsoft:14 sega:12 nintendo:5 -:2
2053013552385491165 - 79 71 polaris:29 vitek:27 xiaomi:16 timberk:11 electrolux:8 scarlett:8
2053013563584283495 - 74 420 lucente:97 -:3
2053013558525952589 - 72 20 samsung:69 apple:17 a-case:7 nillkin:4 takeit:3
2053013552259662037 - 69 612 -:27 hubert:25 bosch:12 uno:12 rinnai:10 navien:7 buderus:7
2053013558190408249 - 58 33 -:27 granhel:21 rondell:19 ikea:10 tefal:10 elenberg:8 agness:6
2053013555287949705 - 52 150 bosch:60 vitek:10 kenwood:6 -:6 arnica:6 kitfort:6 moulinex:4
2062461754293617058 - 51 51 -:70 cantra:30
2053013560144954031 - 47 266 karcher:53 bosch:22 huter:13 denzel:4 lutian:4 -:2
2053013559733912211 - 46 225 -:67 bts:17 sv:11 brw:4
2055156924273394455 - 45 305 -:64 riviera:13 rush:11 intex:7 apache:4
2127425375913902544 - 44 56 -:81 laston:19
2053013566067311601 - 43 274 janome:88 jaguar:7 bernina:5
2053013562208551707 - 43 73 gerat:100
2061717948493463814 - 41 27 toro:51 -:19 emsa:19 wellberg:11
2053013557166998015 - 39 154 -:32 askona:19 vegas:14 casper:11 sonel:8 swisshome:8 rosetta:8
2053013558249128509 - 38 125 granhel:28 rondell:17 gipfel:14 tefal:14 peterhof:14 verloni:10 -:3
2085718636156158307 - 37 99 -:70 brw:19 sv:11
2164367422893589471 - 37 30 -:39 toyota:12 petro-canada:12 yacco:9 mobil:9 gazpromneft:9 bardahl:9
2053013561956893455 - 36 33 -:89 arua:6 lonex:6
2053013563550729061 - 36 198 lucente:81 vega:11 -:8
2053013562837697343 - 36 10 -:100
2053013554524586339 - 32 263 lg:53 panasonic:34 sony:12
2053013555355058573 - 32 72 redmond:39 polaris:16 moulinex:13 galaxy:13 dauscher:10 vitek:10
2053013558223962683 - 32 76 gipfel:52 -:16 rondell:13 granhel:13 agness:6
2053013561277416167 - 31 55 ea:43 -:37 sony:20
2053013556462354899 - 31 66 omron:97 -:3
2053013558895051365 - 30 24 gehwol:27 embryolisse:27 -:23 wonderlab:8 vichy:8 arkadia:8
2053013558458843721 - 30 23 xiaomi:77 canyon:8 remax:8 hoco:8
2102307650380235197 - 29 347 pt-group:38 lux:21 thule:17 broomer:14 -:10
2053013557452210699 - 28 264 erlit:77 domani-spa:19 -:4
2053013554994348409 - 27 56 redmond:100
2053013552989470973 - 27 91 svc:100
2053013563424899933 - 27 514 -:100
2053013553912217915 - 26 218 pioneer:43 kicx:24 pride:19 jvc:10 -:5
2053013562250494749 - 26 35 gerat:73 febest:27
2144356630513320518 - 25 1440 omabelle:100
2053013566562238479 - 24 11 -:65 elysium:35
2053013562611204913 - 24 9 -:88 machaon:12
2053013553199186187 - 24 51 -:78 hasbro:11 barbie:11
2053013556277805513 - 23 72 crown:30 -:25 bosch:25 alteco:20
2053013557645148695 - 22 682 fender:41 squier:32 cort:27
2061717937420501730 - 22 161 -:100
2096280601366626625 - 21 115 -:58 rockforce:16 autoprofi:16 sparta:11
2053013557066334713 - 21 115 -:55 brw:35 bts:10
2053013561604571899 - 21 75 -:86 internedoors:14
2053013558131687989 - 20 47 kukmara:55 -:30 grillver:15
2053013553165631753 - 20 85 lego:95 -:5
2053013554071601477 - 20 68 aerocool:50 -:22 thermaltake:17 deepcool:11
2053013555380224399 - 20 651 -:68 sv:32
2053013552821698803 - 19 31 tp-link:76 xiaomi:12 mercusys:12
2053013559708746385 - 19 576 -:53 sv:47
2053013562082722579 - 19 18 -:61 reluce:17 deluxe:11 line:11
2053013554692358509 - 18 40 unit:28 redmond:22 kelli:17 smile:17 tristar:17
2053013553115300101 - 18 18 -:56 welly:22 silverlit:22
2053013563517174627 - 17 135 -:53 sokolov:35 lucente:12
2053013561159975647 - 17 38 sony:41 x-game:18 redragon:18 microsoft:12 sven:12
"""
