/** Words that tell what a value is, in the languages of the labelled set. All on a slice of bounded length. */

export const PHONE_WORDS =
  /(?:phone|\btel\b|tel[.:e]|\bmobil|\bcell|\bcall(?:ed|ing|er)?\b|\bring\b|text me|reach (?:me|us|him|her)|dial|whatsapp|signal|\bsms\b|\bfax|msisdn|handy|anruf|ruf(?:en|e|nummer|t)?\b|erreich|durchwahl|appel|joign|portable|llam|m[óo]vil|celular|chiam|cellulare|ligue|ligar|telem[óo]vel|\bbel(?:len)?\b|bereik|zadzwo|dzwo|kom[óo]rk|\bring(?:a|e)?\b|mobiel|n[åa]s p[åa]|телефон|позвон|звон|моб|номер|\bara(?:y[ıi]n|s[ıi]n)?\b|telefon|電話|携帯|电话|電郵|手机|手機|拨打|致电|联系|聯絡|전화|휴대|연락|هاتف|اتصل|جوال|رقم|फ़ोन|फोन|मोबाइल|my number|contact|kontakt|num[ée]ro|n[úu]mero|numer\b|nummer|numara|番号|号码|號碼|번호|नंबर)/iu
/** A word that says that a number is something else. */
export const OTHER_NUMBER_WORDS =
  /(?:order|invoice|ticket|case|\bref|sku|item|serial|isbn|issn|ean|gtin|track|parcel|article|\bpart\b|version|build|commit|\bid\b|\buuid|hash|timestamp|epoch|unix|line|page|price|total|amount|cost|usd|eur|\$|€|£|¥|batch|lot\b|model|port\b|bestell|rechnung|artikel|auftrag|vorgang|sendung|preis|betrag|serien|kunden|commande|facture|r[ée]f[ée]rence|prix|colis|pedido|factura|precio|seguimiento|ordine|fattura|prezzo|encomenda|fatura|pre[çc]o|bestel|factuur|prijs|zam[óo]wien|faktur|cena|best[äa]ll|ordre|pris\b|заказ|счет|счёт|цена|артикул|sipari[şs]|fiyat|注文|請求|価格|品番|订单|訂單|发票|價格|价格|주문|송장|가격|طلب|فاتورة|سعر|ऑर्डर|चालान|कीमत)[^\n]{0,24}$/iu
/** The number of an order, an invoice, a parcel, or a time stands right behind: the word, then at most a word for "number". */
export const ORDER_NUMBER =
  /(?:order|invoice|ticket|sku|serial|track|parcel|batch|bestell|rechnung|artikel|auftrag|vorgang|sendung|serien|commande|facture|colis|pedido|factura|seguimiento|ordine|fattura|encomenda|fatura|bestel|factuur|zam[óo]wien|faktur|ordre|заказ|счет|счёт|артикул|замовлен|sipari[şs]|注文|請求書|品番|订单|訂單|发票|주문|송장|طلب|فاتورة|ऑर्डर|đơn hàng|(?:created|updated|modified|deleted|issued|expires)_?at|timestamp|epoch)\p{L}{0,5}[\s_-]{0,2}(?:numbers?|nummer|numara\p{L}{0,4}|番号|号码?|號碼?|번호|संख्या|номер\p{L}?|n[uú]m[eé]ro|numer|no|nr|num|n|id)?[\s:#.№=°º"'()はが은는]{0,4}(?:is|ist|est|es|è|é|lautet)?[\s:]{0,2}$/iu
export const BIRTH_WORDS =
  /(?:\bborn\b|birth|\bdob\b|d\.o\.b|geb(?:oren|urt|\.)|\bn[ée]e? le\b|n[ée]\(e\)|naissance|nacid[oa]|naci[óo]|nacimiento|\bnat[oa] il\b|nascita|nascid[oa]|nasceu|nascimento|geboorte|urodz|\bur\.|f[öo]dd|f[öo]delse|f[øo]dt|f[øo]dsel|syntym|рожд|родил|д\.\s?р\.|do[ğg]um|narozen|datum narod|sz[üu]let|n[ăa]scut|na[șşs]ter|народжен|народив|народил|γ[εέ]νν|ro[đd]en[ai]? |\blahir|s[üu]nni|dzim[šs]|gimim|f[æa]ddur|ngày sinh|sinh ngày|เกิด|לידה|נולד|生年月日|生まれ|誕生|出生|生日|생년월일|출생|생일|जन्म|الميلاد|مواليد|ولد)/iu
export const CARD_WORDS =
  /(?:card|visa|mastercard|amex|maestro|\bpan\b|karte|carte|tarjeta|carta|cart[ãa]o|kaart|kart|карт|カード|卡|카드|بطاقة|कार्ड|credit|debit|kredit)/iu
export const VERSION_WORDS =
  /(?:version|ver\.?|\bv|release|firmware|build|update|driver|kernel|section|chapter|§|abschnitt|kapitel|oid|バージョン|版本|버전|версия|s[üu]r[üu]m|wersj|wersja|versie|versi[óo]n|vers[ãa]o)[\s:=_"'-]{0,3}$/iu
/** What stands for a key, in whatever language. */
export const KEY_WORDS =
  /(?:key|token|secret|passw|credential|\bauth|\bpat\b|\bapi|dsn|licen[cs]e|client|login|access|[=:]|schl[üu]ssel|cl[ée]\b|clave|llave|chiave|chave|sleutel|klucz|nyckel|n[øo]kkel|ключ|anahtar|キー|鍵|密钥|密鑰|키\b|키는|مفتاح|कुंजी)/iu
