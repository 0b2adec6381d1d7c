"""CatalogueService: decode, call the noun, encode."""

from collections.abc import Collection, Mapping
from typing import Any

from powerhouse.payments.v1 import catalogue_pb2
from powerhouse.payments.v1 import catalogue_service_pb2 as pb
from powerhouse.payments.v1.catalogue_service_pb2_grpc import CatalogueServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import from_timestamp, masked_fields
from services.payments import buyers, catalogue, promo_codes
from services.payments.rpc.encoding import encode_option, encode_promo_code, encode_tax_rate
from services.payments.rpc.names import child, optional


class CatalogueServicer(CatalogueServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._stubs, self._database, self._pager = resources.stubs, resources.database, resources.pager

    async def CreatePricingOption(
        self, request: pb.CreatePricingOptionRequest, context: Any
    ) -> catalogue_pb2.PricingOption:
        terms = _decode_terms(request.pricing_option, catalogue.MUTABLE)
        pb_kind = catalogue_pb2.PricingOption.Kind
        kind = pb_kind.Name(request.pricing_option.kind or catalogue_pb2.PricingOption.CLASS_PACK)
        await self._require_class_types(terms)

        async def change(tx: UnitOfWork) -> catalogue_pb2.PricingOption:
            return encode_option(await catalogue.create(tx, kind, terms))

        return await self._database.write(change)

    async def GetPricingOption(self, request: pb.GetPricingOptionRequest, context: Any) -> catalogue_pb2.PricingOption:
        option_id = child(request.name, "pricingOptions", "name")
        async with self._database.read() as tx:
            return encode_option(await catalogue.get(tx, option_id))

    async def ListPricingOptions(
        self, request: pb.ListPricingOptionsRequest, context: Any
    ) -> pb.ListPricingOptionsResponse:
        query = f"pricing options {request.parent} {request.show_archived}"
        page = self._pager.page(query, request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await catalogue.list_latest(tx, page, show_archived=request.show_archived)
        shown, token = page.cut(rows, lambda row: (row[0].create_time, row[0].id))
        return pb.ListPricingOptionsResponse(
            pricing_options=[encode_option(row) for row in shown], next_page_token=token
        )

    async def UpdatePricingOption(
        self, request: pb.UpdatePricingOptionRequest, context: Any
    ) -> catalogue_pb2.PricingOption:
        option_id = child(request.pricing_option.name, "pricingOptions", "pricing_option.name")
        fields = masked_fields(request.update_mask, request.pricing_option, "pricing_option", catalogue.MUTABLE)
        changes = _decode_terms(request.pricing_option, fields)
        await self._require_class_types(changes)

        async def change(tx: UnitOfWork) -> catalogue_pb2.PricingOption:
            return encode_option(await catalogue.update(tx, option_id, request.pricing_option.etag, changes))

        return await self._database.write(change)

    async def DeletePricingOption(
        self, request: pb.DeletePricingOptionRequest, context: Any
    ) -> catalogue_pb2.PricingOption:
        option_id = child(request.name, "pricingOptions", "name")

        async def change(tx: UnitOfWork) -> catalogue_pb2.PricingOption:
            return encode_option(await catalogue.archive(tx, option_id, request.etag))

        return await self._database.write(change)

    async def UndeletePricingOption(
        self, request: pb.UndeletePricingOptionRequest, context: Any
    ) -> catalogue_pb2.PricingOption:
        option_id = child(request.name, "pricingOptions", "name")

        async def change(tx: UnitOfWork) -> catalogue_pb2.PricingOption:
            return encode_option(await catalogue.restore(tx, option_id))

        return await self._database.write(change)

    async def CreateTaxRate(self, request: pb.CreateTaxRateRequest, context: Any) -> catalogue_pb2.TaxRate:
        wanted = request.tax_rate

        async def change(tx: UnitOfWork) -> catalogue_pb2.TaxRate:
            rate = await catalogue.create_tax_rate(tx, wanted.display_name, wanted.rate_ppm, inclusive=wanted.inclusive)
            return encode_tax_rate(rate)

        return await self._database.write(change)

    async def ListTaxRates(self, request: pb.ListTaxRatesRequest, context: Any) -> pb.ListTaxRatesResponse:
        page = self._pager.page(f"tax rates {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await catalogue.list_tax_rates(tx, page)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListTaxRatesResponse(tax_rates=[encode_tax_rate(row) for row in shown], next_page_token=token)

    async def CreatePromoCode(self, request: pb.CreatePromoCodeRequest, context: Any) -> catalogue_pb2.PromoCode:
        wanted = request.promo_code
        options = [child(name, "pricingOptions", "promo_code.pricing_options") for name in wanted.pricing_options]
        expire_time = from_timestamp(wanted, "expire_time")

        async def change(tx: UnitOfWork) -> catalogue_pb2.PromoCode:
            row = await promo_codes.create(
                tx,
                code=wanted.code,
                off_ppm=wanted.off_ppm,
                off_minor=wanted.off_minor,
                max_redemptions=wanted.max_redemptions,
                max_per_client=wanted.max_per_client,
                expire_time=expire_time,
                pricing_option_ids=options,
            )
            return encode_promo_code(row)

        return await self._database.write(change)

    async def ListPromoCodes(self, request: pb.ListPromoCodesRequest, context: Any) -> pb.ListPromoCodesResponse:
        page = self._pager.page(f"promo codes {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await promo_codes.list_latest(tx, page)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListPromoCodesResponse(promo_codes=[encode_promo_code(row) for row in shown], next_page_token=token)

    async def DeletePromoCode(self, request: pb.DeletePromoCodeRequest, context: Any) -> catalogue_pb2.PromoCode:
        promo_code_id = child(request.name, "promoCodes", "name")

        async def change(tx: UnitOfWork) -> catalogue_pb2.PromoCode:
            return encode_promo_code(await promo_codes.archive(tx, promo_code_id, request.etag))

        return await self._database.write(change)

    async def _require_class_types(self, terms: Mapping[str, Any]) -> None:
        await buyers.require_class_types(self._stubs, current_call().tenant, terms.get("class_type_ids", ()))


def _decode_terms(option: catalogue_pb2.PricingOption, fields: Collection[str]) -> dict[str, Any]:
    """The columns of the terms that these fields of the message are."""
    terms: dict[str, Any] = {field: getattr(option, field) for field in fields}
    if "class_types" in terms:
        names = terms.pop("class_types")
        terms["class_type_ids"] = sorted({child(name, "classTypes", "pricing_option.class_types") for name in names})
    if "interval" in terms:
        interval = catalogue_pb2.PricingOption.Interval
        terms["interval"] = interval.Name(terms["interval"]) if terms["interval"] else ""
    if "tax_rate" in terms:
        terms["tax_rate_id"] = optional(terms.pop("tax_rate"), "taxRates", "pricing_option.tax_rate")
    return terms
