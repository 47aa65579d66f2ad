import type { Kind } from '../../sidecar/redaction/rule.ts'

/** Sentences around a value ({v}), by language and kind; `any` for the kinds without a sentence of their own. */
type Sentences = Partial<Record<Kind, readonly string[]>> & { any: readonly string[]; harmless: readonly string[] }

// biome-ignore format: one language a block
export const SENTENCES: Readonly<Record<string, Sentences>> = {
  en: { email: ['Write to {v}, please.', 'My address: {v}'], phone: ['Call me at {v} tomorrow.', 'Phone: {v}'], iban: ['Pay to {v} by Friday.'], credit_card: ['Charge {v} for it.'], any: ['This is it: {v}', 'Use {v} and tell nobody.', 'She sent "{v}" yesterday.', 'It ends with ({v}).'], harmless: ['Order {v} has shipped.', 'See {v} for details.', 'The build {v} passed.', 'We sold {v} of them.'] },
  de: { email: ['Schreiben Sie an {v}, bitte.'], phone: ['Rufen Sie {v} an.', 'Telefon: {v}'], iban: ['Bitte auf {v} überweisen.'], credit_card: ['Die Karte {v} belasten.'], any: ['Hier ist es: {v}', 'Nehmen Sie {v} und schweigen Sie.', 'Sie schickte „{v}“ gestern.'], harmless: ['Bestellung {v} ist unterwegs.', 'Siehe {v} für Näheres.', 'Der Stand {v} läuft.'] },
  fr: { email: ['Écrivez à {v}, merci.'], phone: ['Appelez le {v} demain.', 'Tél. : {v}'], iban: ['Versez sur {v}.'], credit_card: ['Débitez la carte {v}.'], any: ['Le voici : {v}', 'Utilisez {v} sans le dire.', 'Elle a envoyé « {v} » hier.'], harmless: ['La commande {v} est partie.', 'Voir {v} pour plus.', 'La version {v} est en ligne.'] },
  es: { email: ['Escriba a {v}, por favor.'], phone: ['Llame al {v} mañana.', 'Teléfono: {v}'], iban: ['Pague a {v}.'], credit_card: ['Cargue la tarjeta {v}.'], any: ['Aquí está: {v}', 'Use {v} y no lo diga.', 'Ella envió «{v}» ayer.'], harmless: ['El pedido {v} ha salido.', 'Vea {v} para más.', 'La compilación {v} pasó.'] },
  it: { email: ['Scriva a {v}, per favore.'], phone: ['Chiami il {v} domani.', 'Telefono: {v}'], iban: ['Versare su {v}.'], credit_card: ['Addebiti la carta {v}.'], any: ['Eccolo: {v}', 'Usi {v} e non lo dica.'], harmless: ['L’ordine {v} è partito.', 'Vedi {v} per i dettagli.'] },
  pt: { email: ['Escreva para {v}, por favor.'], phone: ['Ligue para {v} amanhã.', 'Telefone: {v}'], iban: ['Pague para {v}.'], credit_card: ['Debite o cartão {v}.'], any: ['Aqui está: {v}', 'Use {v} e não diga.'], harmless: ['A encomenda {v} saiu.', 'Veja {v} para mais.'] },
  nl: { email: ['Schrijf naar {v}, graag.'], phone: ['Bel {v} morgen.', 'Telefoon: {v}'], iban: ['Betaal op {v}.'], credit_card: ['Belast kaart {v}.'], any: ['Hier is het: {v}', 'Gebruik {v} en zwijg.'], harmless: ['Bestelling {v} is onderweg.', 'Zie {v} voor meer.'] },
  pl: { email: ['Proszę pisać na {v}.'], phone: ['Proszę zadzwonić pod {v} jutro.', 'Telefon: {v}'], iban: ['Przelew na {v}.'], credit_card: ['Obciąż kartę {v}.'], any: ['Oto jest: {v}', 'Użyj {v} i nie mów.'], harmless: ['Zamówienie {v} wysłano.', 'Zobacz {v}.'] },
  sv: { email: ['Skriv till {v}, tack.'], phone: ['Ring {v} i morgon.', 'Telefon: {v}'], iban: ['Betala till {v}.'], credit_card: ['Debitera kortet {v}.'], any: ['Här är det: {v}', 'Använd {v} och tig.'], harmless: ['Beställning {v} har skickats.', 'Se {v} för mer.'] },
  ru: { email: ['Пишите на {v}, пожалуйста.'], phone: ['Позвоните по номеру {v} завтра.', 'Телефон: {v}'], iban: ['Переведите на {v}.'], credit_card: ['Спишите с карты {v}.'], any: ['Вот оно: {v}', 'Используйте {v} и молчите.'], harmless: ['Заказ {v} отправлен.', 'Смотрите {v}.'] },
  ja: { email: ['{v} までご連絡ください。', 'メールは{v}です。'], phone: ['電話番号は {v} です。', '携帯：{v}'], iban: ['{v} に振り込んでください。'], credit_card: ['カード {v} でお願いします。'], any: ['これです：{v}', '値は {v} です。'], harmless: ['注文 {v} は発送済みです。', '詳細は {v} を参照。'] },
  zh: { email: ['请写信到 {v} 。', '邮箱是{v}，谢谢。'], phone: ['请拨打 {v} 联系我。', '手机：{v}'], iban: ['请汇款到 {v} 。'], credit_card: ['请用卡 {v} 支付。'], any: ['就是这个：{v}', '请使用 {v} 。'], harmless: ['订单 {v} 已发货。', '详见 {v} 。'] },
}
